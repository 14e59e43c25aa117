// Images and maps (N H W C), and what a window sees of them.
#pragma once

#include <cstdint>
#include <vector>

#include "axis.h"

namespace ablax {

struct Maps {
  int64_t images, height, width, channels;
};

// A tap inside the image: its number in the window, and where what it sees begins.
struct Seen {
  int32_t number;
  int64_t at;
};

// The taps inside the image for a row and a column of results.
class Sight {
 public:
  Sight(const Maps& from, int64_t window_width, const Axis& rows, const Axis& columns)
      : from_(from), window_width_(window_width), rows_(rows), columns_(columns),
        seen_(rows.taps.size() * columns.taps.size()) {}

  void look(int64_t image, int64_t row, int64_t column) {
    count_ = 0;
    for (size_t a = 0; a < rows_.taps.size(); ++a) {
      const int64_t down = row * rows_.in_step + rows_.offsets[a];
      if (down < 0 || down >= from_.height) continue;
      for (size_t b = 0; b < columns_.taps.size(); ++b) {
        const int64_t right = column * columns_.in_step + columns_.offsets[b];
        if (right < 0 || right >= from_.width) continue;
        const int64_t number = rows_.taps[a] * window_width_ + columns_.taps[b];
        seen_[count_++] = {static_cast<int32_t>(number),
                           ((image * from_.height + down) * from_.width + right) * from_.channels};
      }
    }
  }
  const Seen* begin() const { return seen_.data(); }
  const Seen* end() const { return seen_.data() + count_; }

 private:
  const Maps& from_;
  int64_t window_width_, count_ = 0;
  const Axis &rows_, &columns_;
  std::vector<Seen> seen_;
};

}  // namespace ablax
