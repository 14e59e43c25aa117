// Convolution in bfloat16 and its transposes by products of pairs.
//
// Channels lie beside each other and so do the pixels of a row, so what a row of taps sees of an image is one
// run of numbers: it is multiplied where it lies. A block of sums is pixels of a row, or the same pixel of
// several images, by features. For the gradient of a kernel it is channels by features, and a run is all
// pixels of an image: each channel's pixels are brought beside each other first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "axis.h"
#include "dense.h"
#include "maps.h"
#include "memory.h"
#include "pairs.h"
#include "parallel.h"

namespace ablax {

#if defined(ABLAX_PAIRS)

constexpr int64_t PAIR_BAND = 512 * 1024;    // numbers of a band, to stay in a core's cache
constexpr int64_t PAIR_BLOCK = 1024 * 1024;  // numbers of images and gradient that are multiplied at once

// Room for so many numbers of bfloat16.
template <Use USE>
class PairMemory {
 public:
  explicit PairMemory(int64_t numbers) : memory_((numbers + 1) / 2) {}
  bfloat16* data() const { return reinterpret_cast<bfloat16*>(memory_.data()); }

 private:
  WorkingMemory<USE> memory_;
};

// The taps of a row, from left to right, in runs that lie beside each other in an image.
struct TapRuns {
  std::vector<size_t> order;  // of the taps
  int64_t each;               // taps of a run: all of them, or one

  explicit TapRuns(const Axis& columns) : order(columns.taps.size()) {
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](size_t one, size_t other) { return columns.offsets[one] < columns.offsets[other]; });
    each = order.size();
    for (size_t next = 1; next < order.size(); ++next)
      if (columns.offsets[order[next]] != columns.offsets[order[next - 1]] + 1) each = 1;
  }
  int64_t count() const { return order.size() / each; }
};

// Equal parts of a length, the last of which may overlap the one before.
struct Parts {
  int64_t length, count, size;

  explicit Parts(int64_t length) : length(length), count((length + TILE - 1) / TILE), size((length + count - 1) / count) {}
  int64_t begin(int64_t part) const { return std::min(part * size, length - size); }
  double filled() const { return double(length) / (count * TILE); }
};

// The weights in the order in which products read them: group, run of features, row of taps, run of taps,
// chunk, vector, pair, feature, 2.
class PackedPairs {
 public:
  PackedPairs(xla::ffi::ThreadPool& pool, const Weights<bfloat16>& weights, const Axis& rows,
              const Axis& columns, const TapRuns& taps, int64_t channels)
      : weights_(weights), rows_(rows), columns_(columns), taps_(taps), channels_(channels),
        chunks_(taps.each * channels),
        run_(static_cast<int64_t>(rows.taps.size()) * taps.count() * chunks_.size()),
        group_(padded(weights.to(), TILE) / TILE * run_),
        memory_(weights.groups / weights.merged * group_),
        data_(memory_.data()) {
    const int64_t vectors = padded(weights.to(), TILE) / TILE;
    parallel(pool, weights.groups / weights.merged * vectors * rows.taps.size(), [&](int64_t number) {
      fill(number / (vectors * rows.taps.size()), number / rows.taps.size() % vectors,
           number % rows.taps.size());
    });
  }

  const Chunks& chunks() const { return chunks_; }
  const bfloat16* of(int64_t group, int64_t first_vector) const {
    return data_ + group * group_ + first_vector * run_;
  }

 private:
  // One row of taps for one vector of features. Vectors 2 q and 2 q + 1 are read in turns.
  void fill(int64_t group, int64_t vector, int64_t row) {
    const int64_t vectors = padded(weights_.to(), TILE) / TILE, first = vector / 2 * 2;
    const int64_t beside = std::min<int64_t>(2, vectors - first);
    for (int64_t run = 0; run < taps_.count(); ++run)
      for (int64_t chunk = 0; chunk < chunks_.count; ++chunk) {
        const int64_t place = ((row * taps_.count() + run) * chunks_.count + chunk) * beside + vector - first;
        bfloat16* to = data_ + group * group_ + first * run_ + place * chunks_.pairs * CHUNK;
        std::memset(to, 0, chunks_.pairs * CHUNK * sizeof(bfloat16));
        for (int64_t number = chunks_.repeated(chunk); number < 2 * chunks_.pairs; ++number) {
          const int64_t at = chunks_.begin(chunk) + number;
          if (at >= taps_.each * channels_) break;
          fill_line(to + number / 2 * CHUNK + number % 2, group, row, taps_.order[run * taps_.each + at / channels_],
                    at % channels_, vector * TILE);
        }
      }
  }

  // The weights of one channel of one tap for the features from `first` on.
  void fill_line(bfloat16* to, int64_t group, int64_t row, int64_t column, int64_t channel, int64_t first) {
    if (channel >= weights_.from()) return;
    const int64_t one = channel / weights_.from_of_one(), own = weights_.to_of_one();
    const bfloat16* tap =
        weights_.of(rows_.taps[row], columns_.taps[column], group * weights_.merged + one) +
        channel % weights_.from_of_one() * weights_.from_step();
    const int64_t begin = std::max(first, one * own);
    const int64_t end = std::min({first + TILE, (one + 1) * own, weights_.to()});
    for (int64_t feature = begin; feature < end; ++feature)
      to[2 * (feature - first)] = tap[(feature - one * own) * weights_.to_step()];
  }

  const Weights<bfloat16>& weights_;
  const Axis &rows_, &columns_;
  const TapRuns& taps_;
  int64_t channels_;
  Chunks chunks_;
  int64_t run_, group_;
  PairMemory<Use::weights> memory_;
  bfloat16* data_;
};

// A band of rows of one group of one image: (row, column, channel), with zeros around.
class PairBand {
 public:
  PairBand(const Axis& rows, const Axis& columns, int64_t group_channels, int64_t channels)
      : top_(rows.lowest()), left_(columns.lowest()), own_(group_channels), channels_(channels),
        reach_(rows.highest() - rows.lowest()),
        across_((columns.count - 1) * columns.in_step + columns.highest() - columns.lowest() + 1) {}

  int64_t row_step() const { return across_ * channels_; }
  int64_t reach() const { return reach_; }

  void fill(bfloat16* to, const bfloat16* image, const Maps& maps, int64_t group, int64_t down,
            int64_t count) const {
    const int64_t first = std::clamp<int64_t>(-left_, 0, across_);
    const int64_t last = std::clamp<int64_t>(maps.width - left_, first, across_);
    for (int64_t row = 0; row < count; ++row, to += row_step()) {
      const int64_t from = top_ + down + row;
      const bool outside = from < 0 || from >= maps.height;
      std::memset(to, 0, (outside ? row_step() : first * channels_) * sizeof(bfloat16));
      if (outside) continue;
      const bfloat16* pixel =
          image + (from * maps.width + left_ + first) * maps.channels + group * own_;
      bfloat16* at = to + first * channels_;
      if (own_ == channels_ && own_ == maps.channels)
        std::memcpy(at, pixel, (last - first) * channels_ * sizeof(bfloat16));
      else
        for (int64_t column = first; column < last; ++column, at += channels_, pixel += maps.channels) {
          std::memcpy(at, pixel, own_ * sizeof(bfloat16));
          std::memset(at + own_, 0, (channels_ - own_) * sizeof(bfloat16));
        }
      std::memset(to + last * channels_, 0, (across_ - last) * channels_ * sizeof(bfloat16));
    }
  }

 private:
  int64_t top_, left_, own_, channels_, reach_, across_;
};

// y[n, rows, columns, f] = the sliding sum of x[n, ...], for the rows and columns of two axes.
inline void slide(xla::ffi::ThreadPool& pool, const bfloat16* x, const Maps& from, bfloat16* y,
                  const Maps& to, const Weights<bfloat16>& weights, const Axis& rows, const Axis& columns) {
  const TapRuns taps(columns);
  const int64_t channels = padded(weights.from(), 2);
  const PackedPairs packed(pool, weights, rows, columns, taps, channels);
  const PairBand band(rows, columns, weights.from(), channels);
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t whole = band.row_step() * ((rows.count - 1) * rows.in_step + band.reach() + 1);

  // Pixels of a row, or the same pixel of as many images as one core takes.
  const Parts pixels(columns.count), beside(std::min<int64_t>(TILE, (from.images + threads - 1) / threads));
  const bool across_images = beside.filled() > pixels.filled() && beside.size * whole <= 2 * PAIR_BAND;
  const int64_t most = (PAIR_BAND / band.row_step() - band.reach() - 1) / rows.in_step + 1;
  const int64_t some = across_images ? rows.count : std::clamp<int64_t>(most, 1, rows.count);
  const int64_t images = across_images ? beside.size : 1;
  const int64_t parts = (rows.count + some - 1) / some;
  const int64_t vectors = padded(weights.to(), TILE) / TILE;
  const int64_t y_row = to.width * to.channels, y_image = to.height * y_row;

  parallel(pool, (from.images + images - 1) / images * parts, [&](int64_t part) {
    const int64_t image = part / parts * images, first = part % parts * some;
    const int64_t own_images = std::min(images, from.images - image);
    const int64_t count = std::min(some, rows.count - first);
    const int64_t seen = (count - 1) * rows.in_step + band.reach() + 1, copy_image = seen * band.row_step();
    const PairMemory<Use::band> memory(own_images * copy_image);
    bfloat16* const copy = memory.data();
    Tiles tiles;
    alignas(64) float sums[2 * TILE * CHUNK];

    std::vector<int64_t> runs;
    for (int64_t row : rows.offsets)
      for (int64_t run = 0; run < taps.count(); ++run)
        runs.push_back((row - rows.lowest()) * band.row_step() +
                       (columns.offsets[taps.order[run * taps.each]] - columns.lowest()) * channels);
    // Where each block of rows of sums begins: in the copy, and in y.
    struct Place {
      int64_t from, to;
    };
    std::vector<Place> places;
    for (int64_t row = 0; row < count; ++row)
      for (int64_t tile = 0; tile < (across_images ? columns.count : pixels.count); ++tile) {
        const int64_t column = across_images ? tile : pixels.begin(tile);
        places.push_back({row * rows.in_step * band.row_step() + column * columns.in_step * channels,
                          image * y_image + (rows.first + (first + row) * rows.out_step) * y_row +
                              (columns.first + column * columns.out_step) * to.channels});
      }
    const int64_t height = across_images ? own_images : pixels.size;
    const int64_t out_step = across_images ? y_image : columns.out_step * to.channels;

    for (int64_t group = 0; group < weights.groups / weights.merged; ++group) {
      for (int64_t number = 0; number < own_images; ++number)
        band.fill(copy + number * copy_image, x + (image + number) * from.height * from.width * from.channels,
                  from, group, first * rows.in_step, seen);
      for (int64_t vector = 0; vector < vectors; vector += 2) {
        Product product;
        product.a_step = across_images ? copy_image : columns.in_step * channels;
        product.runs = runs.data();
        product.run_count = runs.size();
        product.b = packed.of(group, vector);
        product.vectors = std::min<int64_t>(2, vectors - vector);
        product.sums_step = CHUNK;
        product.add = false;
        const int64_t features = weights.to() - vector * TILE;
        for (size_t place = 0; place < places.size(); place += 2) {
          const int64_t blocks = std::min<int64_t>(2, places.size() - place);
          for (int64_t block = 0; block < 2; ++block) {
            product.a[block] = copy + places[block < blocks ? place + block : place].from;
            product.rows[block] = block < blocks ? height : 0;
            product.sums[block] = sums + block * TILE * CHUNK;
          }
          multiply(product, packed.chunks(), tiles);
          for (int64_t block = 0; block < blocks; ++block) {
            bfloat16* out = y + places[place + block].to + group * weights.to() + vector * TILE;
            const float* own = sums + block * TILE * CHUNK;
            for (int64_t line = 0; line < height; ++line, out += out_step, own += CHUNK)
              for (int64_t one = 0; one < product.vectors; ++one)
                store_some(out + one * TILE, load(own + one * TILE), features - one * TILE);
          }
        }
      }
    }
  });
}

// The gradient of a kernel: k'[a, b, i, f] = sum over pixels of x[...] y'[...].
//
// x is laid out as (image, channel, phase, row, column), y' as (image, pair of pixels, feature, 2) on a grid
// as wide as that of x, zeros where x has a border: then a tap sees all pixels in one run.
class PairGradient {
 public:
  PairGradient(const Maps& from, const Maps& to, int64_t groups, int64_t merged, const Axis& rows,
               const Axis& columns)
      : from_(from), to_(to), rows_(rows), columns_(columns), groups_(groups / merged), merged_(merged),
        channels_(from.channels / groups_), features_(to.channels / groups_),
        wide_(to.width + (columns.highest() - columns.lowest()) / columns.in_step),
        high_(to.height + (rows.highest() - rows.lowest()) / rows.in_step),
        plane_(padded(high_ * wide_ + 1, CHUNK)),
        phases_(rows.in_step * columns.in_step),
        chunks_((to.height - 1) * wide_ + to.width) {
    lay_out();
  }

  void compute(xla::ffi::ThreadPool& pool, const bfloat16* x, const bfloat16* gradient, bfloat16* kernel) const {
    const int64_t taps = rows_.taps.size() * columns_.taps.size(), vectors = padded(features_, TILE) / TILE;
    const int64_t wide = vectors * TILE, size = groups_ * taps * channels_ * wide;
    const int64_t x_image = groups_ * channels_ * phases_ * plane_, y_image = groups_ * vectors * chunks_.size();
    const int64_t most = std::clamp<int64_t>(PAIR_BLOCK / (x_image + y_image), 1, from_.images);
    const PairMemory<Use::band> x_memory(most * x_image);
    const PairMemory<Use::room> y_memory(most * y_image);
    const WorkingMemory<Use::sums> memory(size);
    bfloat16 *const turned = x_memory.data(), *const paired = y_memory.data();
    float* const sums = memory.data();
    const int64_t tiles_of_channels = (channels_ + TILE - 1) / TILE;

    for (int64_t image = 0; image < from_.images; image += most) {
      const int64_t images = std::min(most, from_.images - image);
      parallel(pool, images, [&](int64_t number) {
        turn(turned + number * x_image, x + (image + number) * from_.height * from_.width * from_.channels);
        pair(paired, images, number, gradient + (image + number) * to_.height * to_.width * to_.channels);
      });
      std::vector<int64_t> runs;
      for (int64_t number = 0; number < images; ++number) runs.push_back(number * x_image);
      // A task: one group, one pair of vectors of features, one row of taps.
      const int64_t down = rows_.taps.size(), halves = (vectors + 1) / 2;
      const int64_t slices = std::max<int64_t>(1, tiles_of_channels / 2);
      parallel(pool, groups_ * halves * down * slices, [&](int64_t task) {
        const int64_t slice = task % slices, row = task / slices % down;
        const int64_t vector = task / (slices * down) % halves * 2, group = task / (slices * down * halves);
        Tiles tiles;
        Product product;
        product.a_step = phases_ * plane_;
        product.runs = runs.data();
        product.run_count = runs.size();
        product.b = paired + ((group * vectors + vector) * images) * chunks_.size();
        product.vectors = std::min<int64_t>(2, vectors - vector);
        product.sums_step = wide;
        product.add = image > 0;
        std::vector<std::pair<int64_t, int64_t>> blocks;  // tap of the row, tile of channels
        for (size_t column = 0; column < columns_.taps.size(); ++column)
          for (int64_t tile = tiles_of_channels * slice / slices; tile < tiles_of_channels * (slice + 1) / slices; ++tile)
            blocks.push_back({column, tile});
        for (size_t block = 0; block < blocks.size(); block += 2) {
          for (size_t half = 0; half < 2; ++half) {
            const auto [column, tile] = blocks[std::min(block + half, blocks.size() - 1)];
            const int64_t first = tile * TILE;
            product.rows[half] = block + half < blocks.size() ? std::min<int64_t>(TILE, channels_ - first) : 0;
            product.a[half] = turned + (group * channels_ + first) * phases_ * plane_ + place(row, column);
            product.sums[half] =
                sums + ((group * taps + row * columns_.taps.size() + column) * channels_ + first) * wide + vector * TILE;
          }
          multiply(product, chunks_, tiles);
        }
      });
    }
    write(kernel, sums, taps, wide);
  }

 private:
  // For each number of each phase's grid, and of each chunk of a gradient, the pixel that lies there; -1 for
  // the border, and for what a chunk repeats.
  void lay_out() {
    for (int64_t chunk = 0; chunk < chunks_.count; ++chunk)
      for (int64_t number = 0; number < 2 * chunks_.pairs; ++number) {
        const int64_t at = chunks_.begin(chunk) + number, row = at / wide_, column = at % wide_;
        const bool there = number >= chunks_.repeated(chunk) && row < to_.height && column < to_.width;
        results_.push_back(there ? row * to_.width + column : -1);
      }
    pixels_.assign(phases_ * plane_, -1);
    for (int64_t phase = 0; phase < phases_; ++phase)
      for (int64_t row = 0; row < high_; ++row)
        for (int64_t column = 0; column < wide_; ++column) {
          const int64_t down = rows_.lowest() + phase / columns_.in_step + row * rows_.in_step;
          const int64_t across = columns_.lowest() + phase % columns_.in_step + column * columns_.in_step;
          if (down >= 0 && down < from_.height && across >= 0 && across < from_.width)
            pixels_[phase * plane_ + row * wide_ + column] = down * from_.width + across;
        }
  }

  // Where a tap sees the first pixel's number, from the beginning of a channel.
  int64_t place(int64_t row, int64_t column) const {
    const int64_t down = rows_.offsets[row] - rows_.lowest(), across = columns_.offsets[column] - columns_.lowest();
    const int64_t phase = down % rows_.in_step * columns_.in_step + across % columns_.in_step;
    return phase * plane_ + down / rows_.in_step * wide_ + across / columns_.in_step;
  }

  // The pixels of each channel of an image beside each other.
  void turn(bfloat16* to, const bfloat16* image) const {
    const int64_t channels = groups_ * channels_, step = phases_ * plane_;
    for (int64_t first = 0; first < channels; first += TILE) {
      const __mmask16 some = first_of(channels - first);
      for (int64_t number = 0; number < phases_ * plane_; number += CHUNK) {
        __m512i words[TILE];
        for (int64_t pair = 0; pair < TILE; ++pair) {
          const int64_t one = pixels_[number + 2 * pair], other = pixels_[number + 2 * pair + 1];
          words[pair] = beside(image + one * channels + first, one >= 0 ? some : 0,
                               image + other * channels + first, other >= 0 ? some : 0);
        }
        exchange(words);
        for (int64_t channel = 0; channel < std::min<int64_t>(TILE, channels - first); ++channel)
          _mm512_storeu_si512(to + (first + channel) * step + number, words[channel]);
      }
    }
  }

  // The gradient of an image, pixel by pixel in pairs: (group, pair of vectors, image, chunk, vector, ...).
  void pair(bfloat16* to, int64_t images, int64_t number, const bfloat16* gradient) const {
    const int64_t vectors = padded(features_, TILE) / TILE, size = chunks_.pairs * CHUNK;
    for (int64_t group = 0; group < groups_; ++group)
      for (int64_t vector = 0; vector < vectors; ++vector) {
        const int64_t even = vector / 2 * 2, side = std::min<int64_t>(2, vectors - even);
        const bfloat16* from = gradient + group * features_ + vector * TILE;
        const __mmask16 some = first_of(features_ - vector * TILE);
        bfloat16* place = to + ((group * vectors + even) * images + number * side) * chunks_.size() + (vector - even) * size;
        const int64_t* pixel = results_.data();
        for (int64_t chunk = 0; chunk < chunks_.count; ++chunk, place += side * size)
          for (int64_t one = 0; one < chunks_.pairs; ++one, pixel += 2)
            _mm512_storeu_si512(place + one * CHUNK, beside(from + pixel[0] * to_.channels, pixel[0] >= 0 ? some : 0,
                                                            from + pixel[1] * to_.channels, pixel[1] >= 0 ? some : 0));
      }
  }

  // Sums as (group, tap, channel, feature), groups merged, to a kernel (tap, channel, feature).
  void write(bfloat16* kernel, const float* sums, int64_t taps, int64_t wide) const {
    const int64_t own = features_ / merged_, inputs = channels_ / merged_;
    for (int64_t group = 0; group < groups_; ++group)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t channel = 0; channel < channels_; ++channel) {
          const int64_t one = channel / inputs;  // of the groups that are merged
          const float* from = sums + ((group * taps + tap) * channels_ + channel) * wide + one * own;
          bfloat16* to = kernel + (tap * inputs + channel % inputs) * to_.channels + (group * merged_ + one) * own;
          for (int64_t first = 0; first < own; first += TILE)
            if (own - first >= TILE)
              store(to + first, load(from + first));
            else
              for (int64_t feature = first; feature < own; ++feature) set(to[feature], from[feature]);
        }
  }

  const Maps &from_, &to_;
  const Axis &rows_, &columns_;
  int64_t groups_, merged_, channels_, features_, wide_, high_, plane_, phases_;
  Chunks chunks_;
  std::vector<int64_t> pixels_, results_;
};

inline void kernel_gradient(xla::ffi::ThreadPool& pool, const bfloat16* x, const Maps& from,
                            const bfloat16* gradient, const Maps& to, bfloat16* kernel, int64_t groups,
                            const Axis& rows, const Axis& columns) {
  const int64_t merged = merged_groups(groups, to.channels / groups);
  PairGradient(from, to, groups, merged, rows, columns).compute(pool, x, gradient, kernel);
}

#else  // Then nobody calls these.

inline void slide(xla::ffi::ThreadPool&, const bfloat16*, const Maps&, bfloat16*, const Maps&,
                  const Weights<bfloat16>&, const Axis&, const Axis&) {}
inline void kernel_gradient(xla::ffi::ThreadPool&, const bfloat16*, const Maps&, const bfloat16*, const Maps&,
                            bfloat16*, int64_t, const Axis&, const Axis&) {}

#endif

}  // namespace ablax
