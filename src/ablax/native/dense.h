// Convolution over all channels of a group: y = x * k, and x' = y' * k turned round.
//
// A tile of results, some pixels by one or two vectors of features, stays in registers while all taps
// and channels are added to it. What it reads, a band of rows, is copied beforehand, with zeros around
// it and every PACK channels of a pixel beside each other, so that the pixels of a tile lie at fixed
// distances and no tile needs to know of borders.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "axis.h"
#include "maps.h"
#include "memory.h"
#include "parallel.h"
#include "vectors.h"

namespace ablax {

constexpr int PACK = 4;
constexpr int WIDE = 2;                                 // vectors of features in a tile
constexpr int PIXELS = (REGISTERS - 8) / WIDE;          // 12, or 4 where registers are few
constexpr int64_t BAND = 192 * 1024 / sizeof(float);    // numbers of a band, to stay in the cache
constexpr int64_t SHARED = 64 * 1024 / sizeof(float);   // numbers of the results that groups take turns at

// How many neighboring groups of so few features are computed as one, to fill a vector together.
inline int64_t merged_groups(int64_t groups, int64_t features) {
  int64_t merged = std::max<int64_t>(1, std::min(groups, LANES / features));
  while (groups % merged) --merged;
  return merged;
}

// Where a convolution's weights are: k[a, b, i, f] of group g, or with i and f exchanged. Groups that are
// merged are one with zeros between the channels and the features of different groups.
template <typename Number>
struct Weights {
  const Number* data;
  int64_t width, inputs, features, groups;  // of (h w inputs features); inputs are those of a group
  bool exchanged;
  int64_t merged = merged_groups(groups, to_of_one());

  int64_t own() const { return features / groups; }
  int64_t from_of_one() const { return exchanged ? own() : inputs; }
  int64_t to_of_one() const { return exchanged ? inputs : own(); }
  int64_t from() const { return merged * from_of_one(); }
  int64_t to() const { return merged * to_of_one(); }
  const Number* of(int64_t row, int64_t column, int64_t group) const {
    return data + (row * width + column) * inputs * features + group * own();
  }
  int64_t from_step() const { return exchanged ? 1 : features; }
  int64_t to_step() const { return exchanged ? features : 1; }
};

// A run of features that one tile computes.
struct Run {
  int64_t first, vectors;
};

inline std::vector<Run> runs(int64_t features) {
  std::vector<Run> found;
  for (int64_t first = 0; first < features;) {
    const int64_t vectors = features - first > LANES ? WIDE : 1;
    found.push_back({first, vectors});
    first += vectors * LANES;
  }
  return found;
}

inline int64_t padded(int64_t number, int64_t to) { return (number + to - 1) / to * to; }

// The weights in the order in which tiles read them: group, run of features, tap, channel, feature.
class Packed {
 public:
  Packed(xla::ffi::ThreadPool& pool, const Weights<float>& weights, const Axis& rows, const Axis& columns)
      : channels_(padded(weights.from(), PACK)),
        taps_(rows.taps.size() * columns.taps.size()),
        features_(padded(weights.to(), LANES)),
        memory_(weights.groups / weights.merged * taps_ * channels_ * features_),
        data_(memory_.data()) {
    const std::vector<Run> all = runs(weights.to());
    const int64_t across = columns.taps.size(), down = rows.taps.size();
    parallel(pool, weights.groups / weights.merged * all.size() * down, [&](int64_t number) {
      const int64_t group = number / (all.size() * down);
      const Run& run = all[number / down % all.size()];
      const int64_t row = number % down, size = channels_ * run.vectors * LANES;
      float* to = data_ + taps_ * channels_ * (group * features_ + run.first) + row * across * size;
      for (int64_t column = 0; column < across; ++column, to += size) {
        if (run.first + run.vectors * LANES > weights.to() || weights.from() < channels_ || weights.merged > 1)
          std::memset(to, 0, size * sizeof(float));
        for (int64_t one = 0; one < weights.merged; ++one)
          fill(to + one * (weights.from_of_one() * run.vectors * LANES + weights.to_of_one()),
               weights.of(rows.taps[row], columns.taps[column], group * weights.merged + one), weights, run);
      }
    });
  }

  const float* of(int64_t group, int64_t first_feature) const {
    return data_ + taps_ * channels_ * (group * features_ + first_feature);
  }

 private:
  // One tap of one group: channel by channel, the features of a run.
  void fill(float* to, const float* tap, const Weights<float>& weights, const Run& run) const {
    const int64_t wide = run.vectors * LANES, channels = weights.from_of_one();
    const int64_t real = std::min(weights.to_of_one() - run.first, wide);
    const int64_t from_step = weights.from_step(), to_step = weights.to_step();
    tap += run.first * to_step;
    if (to_step == 1)
      for (int64_t channel = 0; channel < channels; ++channel)
        std::memcpy(to + channel * wide, tap + channel * from_step, real * sizeof(float));
    else
      for (int64_t lane = 0; lane < real; ++lane)
        for (int64_t channel = 0; channel < channels; ++channel)
          to[channel * wide + lane] = tap[lane * to_step + channel];
  }

  int64_t channels_, taps_, features_;
  WorkingMemory<Use::weights> memory_;
  float* data_;
};

// What one tile reads and writes.
struct Tile {
  const float* band;            // the first pixel
  const int64_t* taps;          // where each tap lies from there
  int64_t tap_count, packs, pack_step, row_step;
  const float* weights;
  float* out;
  int64_t out_row_step, out_step, features;  // between rows, between pixels; those to be written
};

template <int ROWS, int COLUMNS, int V>
void tile(const Tile& t) {
  Vector sums[ROWS][COLUMNS][V] = {};
  const float* weights = t.weights;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    const float* x = t.band + t.taps[tap];
    for (int64_t pack = 0; pack < t.packs; ++pack, x += t.pack_step, weights += PACK * V * LANES)
#pragma GCC unroll 4
      for (int channel = 0; channel < PACK; ++channel) {
        Vector w[V];
        for (int v = 0; v < V; ++v) w[v] = load(weights + (channel * V + v) * LANES);
#pragma GCC unroll 4
        for (int row = 0; row < ROWS; ++row)
#pragma GCC unroll 16
          for (int column = 0; column < COLUMNS; ++column)
            for (int v = 0; v < V; ++v)
              sums[row][column][v] += x[row * t.row_step + column * PACK + channel] * w[v];
      }
  }
  for (int row = 0; row < ROWS; ++row)
    for (int column = 0; column < COLUMNS; ++column)
      for (int v = 0; v < V; ++v)
        store_some(t.out + row * t.out_row_step + column * t.out_step + v * LANES,
                   sums[row][column][v], t.features - v * LANES);
}

template <int ROWS, int COLUMNS = PIXELS / ROWS>
void tile_of(int64_t columns, int64_t vectors, const Tile& t) {
  if constexpr (COLUMNS > 0) {
    if (columns < COLUMNS) return tile_of<ROWS, COLUMNS - 1>(columns, vectors, t);
    vectors == 1 ? tile<ROWS, COLUMNS, 1>(t) : tile<ROWS, COLUMNS, WIDE>(t);
  }
}

// The most rows of a tile that are compiled: a divisor of twelve, up to `most`.
inline int64_t rows_of_tile(int64_t most) {
  return most >= 12 ? 12 : most >= 6 ? 6 : std::max<int64_t>(1, std::min<int64_t>(most, 4));
}

inline void tile_of(int64_t rows, int64_t columns, int64_t vectors, const Tile& t) {
  rows == 1   ? tile_of<1>(columns, vectors, t)
  : rows == 2 ? tile_of<2>(columns, vectors, t)
  : rows == 3 ? tile_of<3>(columns, vectors, t)
  : rows == 4 ? tile_of<4>(columns, vectors, t)
  : rows == 6 ? tile_of<6>(columns, vectors, t)
              : tile_of<12>(columns, vectors, t);
}

// A band of rows of one group of one image, laid out as (row, pack, phase, column, PACK), where
// column c of phase p is pixel c in_step + p, counted from the leftmost that any tap sees.
class Band {
 public:
  Band(const Axis& rows, const Axis& columns, int64_t channels)
      : top_(rows.lowest()),
        left_(columns.lowest()),
        in_step_(columns.in_step),
        channels_(channels),
        reach_(rows.highest() - rows.lowest()),
        across_(columns.count + (columns.highest() - columns.lowest()) / columns.in_step),
        packs_((channels + PACK - 1) / PACK) {
    for (int64_t row : rows.offsets)
      for (int64_t column : columns.offsets) {
        const int64_t right = column - left_;
        taps_.push_back((row - top_) * row_step() +
                        (right % in_step_ * across_ + right / in_step_) * PACK);
      }
  }

  int64_t pack_step() const { return in_step_ * across_ * PACK; }
  int64_t row_step() const { return packs_ * pack_step(); }
  int64_t packs() const { return packs_; }
  int64_t reach() const { return reach_; }
  const std::vector<int64_t>& taps() const { return taps_; }

  // Copies `count` rows, beginning with the first that result row 0 would see, plus `down`.
  void fill(float* to, const float* image, const Maps& maps, int64_t group, int64_t down,
            int64_t count) const {
    for (int64_t row = 0; row < count; ++row, to += row_step()) {
      const int64_t from = top_ + down + row;
      if (from < 0 || from >= maps.height)
        std::memset(to, 0, row_step() * sizeof(float));
      else
        fill_row(to, image + from * maps.width * maps.channels + group * channels_, maps);
    }
  }

 private:
  void fill_row(float* to, const float* row, const Maps& maps) const {
    for (int64_t pack = 0; pack < packs_; ++pack)
      for (int64_t phase = 0; phase < in_step_; ++phase)
        for (int64_t column = 0; column < across_; ++column, to += PACK) {
          const int64_t from = left_ + column * in_step_ + phase;
          const float* pixel = row + from * maps.channels + pack * PACK;
          const bool outside = from < 0 || from >= maps.width;
          if (!outside && (pack + 1) * PACK <= channels_)
            std::memcpy(to, pixel, PACK * sizeof(float));
          else
            for (int64_t lane = 0; lane < PACK; ++lane)
              to[lane] = outside || pack * PACK + lane >= channels_ ? 0.0f : pixel[lane];
        }
  }

  int64_t top_, left_, in_step_, channels_, reach_, across_, packs_;
  std::vector<int64_t> taps_;
};

// How the results are cut into parts for the cores, and a part into tiles.
//
// A tile is some columns of some rows. Where an image has too few rows to fill one, a part is several
// images, and the tile takes the same row of each.
struct Cut {
  int64_t images, rows;   // of a part
  int64_t wide, high;     // tiles beside each other; rows (or images) of a tile
  bool across_images;

  Cut(const Maps& from, const Maps& to, const Weights<float>& weights, const Axis& down, const Axis& across,
      const Band& band, int64_t threads) {
    wide = (across.count + PIXELS - 1) / PIXELS;
    high = rows_of_tile(PIXELS * wide / across.count);
    across_images = high > down.count;
    int64_t most = (BAND / band.row_step() - band.reach() - 1) / down.in_step + 1;
    if (weights.groups > weights.merged) most = std::min(most, SHARED / (to.width * to.channels));
    rows = std::clamp<int64_t>(most, 1, down.count);
    images = 1;
    if (!across_images) return;
    rows = down.count;
    const int64_t image = band.row_step() * ((rows - 1) * down.in_step + band.reach() + 1);
    const int64_t fit = std::max<int64_t>(1, 2 * BAND / image / high) * high;
    const int64_t parts = padded((from.images + fit - 1) / fit, threads);  // as many for each core
    images = std::max<int64_t>(1, (from.images + parts - 1) / std::max<int64_t>(1, parts));
  }
};

// y[n, rows, columns, f] = the sliding sum of x[n, ...], for the rows and columns of two axes.
inline void slide(xla::ffi::ThreadPool& pool, const float* x, const Maps& from, float* y,
                  const Maps& to, const Weights<float>& weights, const Axis& rows, const Axis& columns) {
  const Packed packed(pool, weights, rows, columns);
  const Band band(rows, columns, weights.from());
  const Cut cut(from, to, weights, rows, columns, band, std::max<int64_t>(1, pool.num_threads()));
  const std::vector<Run> features = runs(weights.to());
  const int64_t parts = (rows.count + cut.rows - 1) / cut.rows;
  const int64_t y_row = to.width * to.channels, y_image = to.height * y_row;
  const int64_t x_image = from.height * from.width * from.channels;

  parallel(pool, (from.images + cut.images - 1) / cut.images * parts, [&](int64_t part) {
    const int64_t image = part / parts * cut.images, first = part % parts * cut.rows;
    const int64_t images = std::min(cut.images, from.images - image);
    const int64_t count = std::min(cut.rows, rows.count - first);
    const int64_t seen = (count - 1) * rows.in_step + band.reach() + 1;
    const int64_t copy_image = seen * band.row_step(), copy_row = rows.in_step * band.row_step();
    const WorkingMemory<Use::band> memory(images * copy_image);
    float* const copy = memory.data();

    // Some columns of `high` rows from `row` on, or of that row of `high` images from `number` on.
    auto compute = [&](int64_t group, const Run& run, int64_t number, int64_t row, int64_t high) {
      for (int64_t tile = 0; tile < cut.wide; ++tile) {
        const int64_t left = columns.count * tile / cut.wide;
        const int64_t right = columns.count * (tile + 1) / cut.wide;
        float* out = y + (image + number) * y_image +
                     (rows.first + (first + row) * rows.out_step) * y_row +
                     (columns.first + left * columns.out_step) * to.channels +
                     group * weights.to() + run.first;
        tile_of(high, right - left, run.vectors,
                {copy + number * copy_image + row * copy_row + left * PACK, band.taps().data(),
                 static_cast<int64_t>(band.taps().size()), band.packs(), band.pack_step(),
                 cut.across_images ? copy_image : copy_row, packed.of(group, run.first), out,
                 cut.across_images ? y_image : rows.out_step * y_row,
                 columns.out_step * to.channels, weights.to() - run.first});
      }
    };

    for (int64_t group = 0; group < weights.groups / weights.merged; ++group) {
      for (int64_t number = 0; number < images; ++number)
        band.fill(copy + number * copy_image, x + (image + number) * x_image, from, group,
                  first * rows.in_step, seen);
      for (const Run& run : features) {
        const int64_t outer = cut.across_images ? count : images;
        const int64_t inner = cut.across_images ? images : count;
        for (int64_t one = 0; one < outer; ++one)
          for (int64_t next = 0, high; next < inner; next += high) {
            high = rows_of_tile(std::min(cut.high, inner - next));
            cut.across_images ? compute(group, run, next, one, high) : compute(group, run, one, next, high);
          }
      }
    }
  });
}

}  // namespace ablax
