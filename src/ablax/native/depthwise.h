// Convolution of each channel alone, y[n, r, c, f] = sum over a, b of x[n, ..., f] k[a, b, f], and the
// gradient of its kernel. Channels lie beside each other, so a vector is a run of channels.
//
// Bound by the cache, not by products: a tile of results stays in registers while the taps are added,
// and where all taps of a row lie inside the image no border is asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "axis.h"
#include "maps.h"
#include "memory.h"
#include "parallel.h"
#include "vectors.h"

namespace ablax {

constexpr int RESULTS = 4;  // of a row in one tile
constexpr int CHAINS = 4;   // columns of taps whose sums run side by side

template <int COUNT, typename Number>
void weighted_sum(const Number* x, int64_t step, const Sight& sight, const Number* kernel,
                  int64_t channels, Number* y, int64_t out_step) {
  over_channels(
      channels,
      [&](int64_t channel) {
        Vector sums[COUNT] = {};
        for (const Seen& seen : sight) {
          const Vector weight = load(kernel + seen.weights + channel);
          const Number* from = x + seen.at + channel;
#pragma GCC unroll 8
          for (int number = 0; number < COUNT; ++number) sums[number] += load(from + number * step) * weight;
        }
        for (int number = 0; number < COUNT; ++number) store(y + number * out_step + channel, sums[number]);
      },
      [&](int64_t channel) {
        for (int number = 0; number < COUNT; ++number) {
          float sum = 0;
          for (const Seen& seen : sight)
            sum += ablax::number(x[seen.at + number * step + channel]) *
                   ablax::number(kernel[seen.weights + channel]);
          set(y[number * out_step + channel], sum);
        }
      });
}

// y[n, rows, columns, f] for the rows and columns of two axes.
template <typename Number>
void slide_channels(xla::ffi::ThreadPool& pool, const Number* x, const Maps& from, Number* y, const Maps& to,
                    const Number* kernel, int64_t kernel_width, const Axis& rows, const Axis& columns) {
  const int64_t channels = from.channels, step = columns.in_step * channels;
  const int64_t out_step = columns.out_step * channels;
  int64_t left = 0, right = columns.count;  // results whose taps all lie inside
  for (int64_t offset : columns.offsets) {
    const auto [first, last] = inside(columns, offset, from.width);
    left = std::max(left, first);
    right = std::min(right, last);
  }

  parallel(pool, from.images * rows.count, [&](int64_t number) {
    const int64_t image = number / rows.count, row = number % rows.count;
    Number* line = y + (image * to.height + rows.first + row * rows.out_step) * to.width * channels +
                  columns.first * channels;
    Sight sight(from, kernel_width, rows, columns);
    auto results = [&](auto count, int64_t column) {
      sight.look(image, row, column);
      weighted_sum<decltype(count)::value>(x, step, sight, kernel, channels, line + column * out_step,
                                           out_step);
    };
    constexpr std::integral_constant<int, 1> one;
    constexpr std::integral_constant<int, RESULTS> several;
    int64_t column = 0;
    for (; column < std::min(left, columns.count); ++column) results(one, column);
    for (; column + RESULTS <= right; column += RESULTS) results(several, column);
    for (; column < columns.count; ++column) results(one, column);
  });
}

// Adds sum over c of x[c step + b gap + f] g[c F + f] to sums[b F + f], for COUNT taps b of a row.
template <int COUNT, typename Number>
void add_products(const Number* x, int64_t step, const int64_t* offsets, const Number* gradient,
                  int64_t columns, int64_t channels, float* sums) {
  over_channels(
      channels,
      [&](int64_t channel) {
        Vector own[COUNT] = {};
        for (int64_t column = 0; column < columns; ++column) {
          const Vector g = load(gradient + column * channels + channel);
#pragma GCC unroll 4
          for (int tap = 0; tap < COUNT; ++tap) own[tap] += load(x + column * step + offsets[tap] + channel) * g;
        }
        // The lanes that overlap the run before are there already.
        const int64_t done = channel % LANES ? LANES - channel % LANES : 0;
        for (int tap = 0; tap < COUNT; ++tap)
          for (int64_t lane = done; lane < LANES; ++lane) sums[tap * channels + channel + lane] += own[tap][lane];
      },
      [&](int64_t channel) {
        for (int tap = 0; tap < COUNT; ++tap)
          for (int64_t column = 0; column < columns; ++column)
            sums[tap * channels + channel] +=
                number(x[column * step + offsets[tap] + channel]) * number(gradient[column * channels + channel]);
      });
}

template <typename Number>
void add_products_of(int64_t count, const Number* x, int64_t step, const int64_t* offsets,
                     const Number* gradient, int64_t columns, int64_t channels, float* sums) {
  auto add = count == 4   ? add_products<4, Number>
             : count == 3 ? add_products<3, Number>
             : count == 2 ? add_products<2, Number>
                          : add_products<1, Number>;
  add(x, step, offsets, gradient, columns, channels, sums);
}

// kernel[a, b, f] = sum over n, r, c of x[n, ..., f] gradient[n, r, c, f]
template <typename Number>
void channels_kernel_gradient(xla::ffi::ThreadPool& pool, const Number* x, const Maps& from,
                              const Number* gradient, const Maps& to, Number* kernel, const Axis& rows,
                              const Axis& columns) {
  const int64_t channels = from.channels, step = columns.in_step * channels;
  const int64_t across = columns.taps.size(), size = rows.taps.size() * across * channels;
  const int64_t lines = to.images * to.height;
  const int64_t parts = std::min<int64_t>(lines, 4 * std::max<int64_t>(1, pool.num_threads()));
  const WorkingMemory<Use::sums> memory(parts * size);
  float* const sums = memory.data();

  // One row of the gradient with one row of taps: where all of some taps lie inside, side by side.
  auto add_row = [&](float* own, const Number* x_row, const Number* line) {
    for (int64_t tap = 0, count; tap < across; tap += count) {
      count = std::min<int64_t>(CHAINS, across - tap);
      int64_t offsets[CHAINS], left = 0, right = columns.count;
      for (int64_t b = 0; b < count; ++b) {
        const auto [first, last] = inside(columns, columns.offsets[tap + b], from.width);
        left = std::max(left, first);
        right = std::min(right, last);
        offsets[b] = columns.offsets[tap + b] * channels;
      }
      right = std::max(left, right);
      add_products_of(count, x_row + left * step, step, offsets, line + left * channels, right - left,
                      channels, own + tap * channels);
      for (int64_t b = 0; b < count; ++b) {  // beside: each tap where it is inside
        const auto [first, last] = inside(columns, columns.offsets[tap + b], from.width);
        for (const auto& [start, stop] : {std::pair(first, std::min(left, last)), std::pair(std::max(right, first), last)})
          if (start < stop)
            add_products<1>(x_row + start * step, step, offsets + b, line + start * channels, stop - start,
                            channels, own + (tap + b) * channels);
      }
    }
  };
  parallel(pool, parts, [&](int64_t part) {
    float* const own = sums + part * size;
    std::memset(own, 0, size * sizeof(float));
    for (int64_t number = lines * part / parts; number < lines * (part + 1) / parts; ++number) {
      const int64_t image = number / to.height, row = number % to.height;
      for (size_t a = 0; a < rows.taps.size(); ++a) {
        const int64_t down = row * rows.in_step + rows.offsets[a];
        if (down < 0 || down >= from.height) continue;
        add_row(own + a * across * channels, x + (image * from.height + down) * from.width * channels,
                gradient + number * to.width * channels);
      }
    }
  });
  for (int64_t number = 0; number < size; ++number) {
    float sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += sums[part * size + number];
    set(kernel[number], sum);
  }
}

}  // namespace ablax
