// The gradient of a dense kernel: k'[a, b, i, f] = sum over pixels of x[...] y'[...], tap by tap.
//
// A tile of k', some channels by one or two vectors of features, stays in registers while the pixels of a
// block that fits into the cache are added to it. Nothing is laid out: images and gradient are read
// where they are, and rows and columns that a tap sees outside the image are left out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "axis.h"
#include "dense.h"
#include "maps.h"
#include "memory.h"
#include "parallel.h"
#include "vectors.h"

namespace ablax {

constexpr int64_t BLOCK = 64 * 1024;          // numbers of images and gradient, to stay in a core's cache
constexpr int64_t SHARED_BLOCK = 512 * 1024;  // the same, of all cores together
constexpr int64_t LARGE_KERNEL = 128 * 1024;  // numbers; from here on cores share one sum
constexpr int64_t SLICE = 32;                 // channels that a core takes of a large kernel

// What one tile reads and adds to.
struct OuterTile {
  const float* x;
  const float* gradient;
  int64_t images, rows, columns;
  int64_t x_image, x_row, x_column, gradient_image, gradient_row, gradient_column;
  float* sums;
  int64_t next_channel, next_vector;  // between sums of channels, between the gradient's vectors
};

template <int C, int V>
void outer(const OuterTile& t) {
  Vector sums[C][V];
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) sums[c][v] = load(t.sums + c * t.next_channel + v * LANES);
  for (int64_t image = 0; image < t.images; ++image)
    for (int64_t row = 0; row < t.rows; ++row) {
      const float* x = t.x + image * t.x_image + row * t.x_row;
      const float* gradient = t.gradient + image * t.gradient_image + row * t.gradient_row;
      for (int64_t column = 0; column < t.columns; ++column) {
        Vector g[V];
        for (int v = 0; v < V; ++v) g[v] = load(gradient + v * t.next_vector);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c)
          for (int v = 0; v < V; ++v) sums[c][v] += x[c] * g[v];
        x += t.x_column;
        gradient += t.gradient_column;
      }
    }
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) store(t.sums + c * t.next_channel + v * LANES, sums[c][v]);
}

template <int V>
void outer_of(int64_t channels, const OuterTile& t) {
  channels == 8   ? outer<8, V>(t)
  : channels == 4 ? outer<4, V>(t)
  : channels == 3 ? outer<3, V>(t)
  : channels == 2 ? outer<2, V>(t)
                  : outer<1, V>(t);
}

// A run of channels that a tile takes: eight while there are as many, then what is left.
inline int64_t channels_of_tile(int64_t left) { return left >= 8 ? 8 : left >= 4 ? 4 : left; }

// Images first ... last - 1 and, of each, rows top ... bottom - 1 of the gradient.
struct Block {
  int64_t first, last, top, bottom;
};

// A gradient's kernel as it is summed up: (group, tap, channel, feature), features padded to whole
// vectors. Groups are merged as those of `Weights` are; what a channel gives for the features of
// another group is summed up and left out at the end. A vector that would reach beyond the pixel's last
// feature ends with it, so that no number is read beyond; its first features may be there twice.
struct Sums {
  int64_t groups, taps, channels, features, merged;

  int64_t padded_features() const { return padded(features, LANES); }
  int64_t size() const { return groups * taps * channels * padded_features(); }
  int64_t at(int64_t group, int64_t tap, int64_t channel) const {
    return ((group * taps + tap) * channels + channel) * padded_features();
  }
  // Where in a pixel the vector is read that is summed up from feature `first` of a group on.
  int64_t read_at(int64_t group, int64_t first, int64_t pixel) const {
    return std::min(group * features + first, pixel - LANES);
  }
};

class KernelGradient {
 public:
  KernelGradient(const float* x, const Maps& from, const float* gradient, const Maps& to,
                 const Axis& rows, const Axis& columns, const Sums& sums)
      : x_(x), from_(from), gradient_(gradient), to_(to), rows_(rows), columns_(columns),
        sums_(sums), runs_(runs(sums.features)) {}

  // Adds what a block gives to channels first ... last - 1 of one tap of one group.
  void add(float* sums, const Block& block, int64_t group, int64_t row, int64_t column, int64_t first,
           int64_t last) const {
    auto [top, bottom] = inside(rows_, rows_.offsets[row], from_.height);
    const auto [left, right] = inside(columns_, columns_.offsets[column], from_.width);
    top = std::max(top, block.top);
    bottom = std::min(bottom, block.bottom);
    if (top >= bottom || left >= right) return;
    const int64_t down = top * rows_.in_step + rows_.offsets[row];
    const int64_t across = left * columns_.in_step + columns_.offsets[column];
    const int64_t x_row = from_.width * from_.channels, y_row = to_.width * to_.channels;
    OuterTile tile;
    tile.images = block.last - block.first;
    tile.rows = bottom - top;
    tile.columns = right - left;
    tile.x_image = from_.height * x_row;
    tile.x_row = rows_.in_step * x_row;
    tile.x_column = columns_.in_step * from_.channels;
    tile.gradient_image = to_.height * y_row;
    tile.gradient_row = y_row;
    tile.gradient_column = to_.channels;
    tile.next_channel = sums_.padded_features();
    const float* x = x_ + block.first * tile.x_image + down * x_row + across * from_.channels +
                     group * sums_.channels;
    const float* gradient = gradient_ + block.first * tile.gradient_image + top * y_row +
                            left * to_.channels;
    const int64_t tap = row * columns_.taps.size() + column;
    for (int64_t channel = first, some; channel < last; channel += some) {
      some = channels_of_tile(last - channel);
      tile.x = x + channel;
      for (const Run& run : runs_) {
        const int64_t at = sums_.read_at(group, run.first, to_.channels);
        tile.gradient = gradient + at;
        tile.next_vector = sums_.read_at(group, run.first + LANES, to_.channels) - at;
        tile.sums = sums + sums_.at(group, tap, channel) + run.first;
        run.vectors == 1 ? outer_of<1>(some, tile) : outer_of<WIDE>(some, tile);
      }
    }
  }

  // The batch in blocks of about so many numbers: whole images, or some rows of one.
  std::vector<Block> blocks(int64_t numbers) const {
    const int64_t row = to_.width * to_.channels +
                        from_.height * from_.width * from_.channels / std::max<int64_t>(1, to_.height);
    const int64_t height = std::clamp<int64_t>(numbers / row, 1, to_.height);
    const int64_t images = std::max<int64_t>(1, numbers / (row * to_.height));
    std::vector<Block> found;
    for (int64_t image = 0; image < to_.images; image += images)
      for (int64_t top = 0; top < to_.height; top += height)
        found.push_back({image, std::min(image + images, to_.images), top,
                         std::min(top + height, to_.height)});
    return found;
  }

  // Each part of the batch summed for itself, then the parts in order: the same sum at every run.
  void by_parts(xla::ffi::ThreadPool& pool, float* kernel) const {
    const std::vector<Block> all = blocks(BLOCK);
    const int64_t count = all.size(), size = sums_.size();
    const int64_t parts = std::clamp<int64_t>(count, 1, 2 * std::max<int64_t>(1, pool.num_threads()));
    const WorkingMemory<Use::sums> memory(parts * size);
    float* const sums = memory.data();
    parallel(pool, parts, [&](int64_t part) {
      float* const own = sums + part * size;
      std::memset(own, 0, size * sizeof(float));
      for (int64_t number = count * part / parts; number < count * (part + 1) / parts; ++number)
        for (int64_t group = 0; group < sums_.groups; ++group)
          for (size_t row = 0; row < rows_.taps.size(); ++row)
            for (size_t column = 0; column < columns_.taps.size(); ++column)
              add(own, all[number], group, row, column, 0, sums_.channels);
    });
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t number = 0; number < size; ++number) sums[number] += sums[part * size + number];
    write(kernel, sums);
  }

  // Each core takes taps and channels of one sum.
  void by_taps(xla::ffi::ThreadPool& pool, float* kernel) const {
    const bool as_it_is = sums_.groups == 1 && sums_.merged == 1 && sums_.features % LANES == 0;
    const WorkingMemory<Use::sums> memory(as_it_is ? 0 : sums_.size());
    float* const sums = as_it_is ? kernel : memory.data();
    const int64_t down = rows_.taps.size(), across = columns_.taps.size();
    const int64_t slices = (sums_.channels + SLICE - 1) / SLICE;
    const std::vector<Block> all = blocks(SHARED_BLOCK);
    for (size_t number = 0; number < std::max<size_t>(1, all.size()); ++number)
      parallel(pool, sums_.groups * down * across * slices, [&](int64_t part) {
        const int64_t group = part / (slices * down * across), tap = part / slices % (down * across);
        const int64_t first = part % slices * SLICE, last = std::min(first + SLICE, sums_.channels);
        if (number == 0)
          std::memset(sums + sums_.at(group, tap, first), 0,
                      (last - first) * sums_.padded_features() * sizeof(float));
        if (number < all.size())
          add(sums, all[number], group, tap / across, tap % across, first, last);
      });
    if (!as_it_is) write(kernel, sums);
  }

 private:
  // Sums as (group, tap, channel, feature), features padded, to a kernel (tap, channel, feature).
  void write(float* kernel, const float* sums) const {
    const int64_t own = sums_.features / sums_.merged, inputs = sums_.channels / sums_.merged;
    for (int64_t group = 0; group < sums_.groups; ++group)
      for (int64_t line = 0; line < sums_.taps * sums_.channels; ++line) {
        const int64_t one = line % sums_.channels / inputs;  // of the groups that are merged
        const int64_t row = line / sums_.channels * inputs + line % inputs;
        const float* from = sums + sums_.at(group, 0, line);
        float* to = kernel + ((row * sums_.groups + group) * sums_.merged + one) * own;
        for (int64_t feature = one * own, next; feature < (one + 1) * own; feature = next) {
          const int64_t first = feature - feature % LANES;
          next = std::min(first + LANES, (one + 1) * own);
          const int64_t later = group * sums_.features + first - sums_.read_at(group, first, to_.channels);
          std::memcpy(to + feature - one * own, from + feature + later, (next - feature) * sizeof(float));
        }
      }
  }

  const float* x_;
  Maps from_;
  const float* gradient_;
  Maps to_;
  const Axis &rows_, &columns_;
  Sums sums_;
  std::vector<Run> runs_;
};

// kernel[a, b, i, f] = sum over n, r, c of x[n, ...] gradient[n, r, c, f]
inline void kernel_gradient(xla::ffi::ThreadPool& pool, const float* x, const Maps& from,
                            const float* gradient, const Maps& to, float* kernel, int64_t groups,
                            const Axis& rows, const Axis& columns) {
  const int64_t own = to.channels / groups, merged = merged_groups(groups, own);
  const int64_t taps = rows.taps.size() * columns.taps.size();
  const Sums sums{groups / merged, taps, merged * (from.channels / groups), merged * own, merged};
  Maps read = to;
  read.channels = std::max<int64_t>(to.channels, LANES);
  const int64_t pixels = to.images * to.height * to.width, wide = to.channels < LANES ? LANES : 0;
  const WorkingMemory<Use::room> memory(pixels * wide);
  if (wide) {  // A vector would read beyond a pixel's features: they are padded with zeros.
    float* const room = memory.data();
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      std::memcpy(room + pixel * LANES, gradient + pixel * to.channels, to.channels * sizeof(float));
      std::memset(room + pixel * LANES + to.channels, 0, (LANES - to.channels) * sizeof(float));
    }
    gradient = room;
  }
  const KernelGradient work(x, from, gradient, read, rows, columns, sums);
  sums.size() >= LARGE_KERNEL ? work.by_taps(pool, kernel) : work.by_parts(pool, kernel);
}

}  // namespace ablax
