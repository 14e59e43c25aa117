// The largest number of each window, and what goes back to the first of several.
//
// Which tap of its window was taken is kept in a byte a result. Both derivatives are then sums over taps of
// what was taken: seen from a result, of the one number it took; seen from a number, of all results
// that took it. So no result is spread over an image that has to be cleared first.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "axis.h"
#include "maps.h"
#include "parallel.h"
#include "vectors.h"

namespace ablax {

typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

inline Integers bits(Vector v) {
  Integers as;
  std::memcpy(&as, &v, sizeof v);
  return as;
}

inline Vector floats(Integers v) {
  Vector as;
  std::memcpy(&as, &v, sizeof v);
  return as;
}

inline Integers load_bytes(const uint8_t* from) {
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, Integers);
}

// y = the maximum of each window, taken = the number of its first tap, row by row. A NaN counts as
// larger than any number.
template <typename Number>
void first_maximum(xla::ffi::ThreadPool& pool, const Number* x, const Maps& from, Number* y, uint8_t* taken,
                   const Maps& to, const Axis& rows, const Axis& columns) {
  const float lowest = -std::numeric_limits<float>::infinity();
  parallel(pool, to.images * to.height, [&](int64_t line) {
    Sight sight(from, columns.taps.size(), rows, columns);
    for (int64_t column = 0; column < to.width; ++column) {
      const int64_t at = (line * to.width + column) * to.channels;
      sight.look(line / to.height, line % to.height, column);
      over_channels(
          to.channels,
          [&](int64_t channel) {
            Vector best = Vector{} + lowest;
            Integers tap = {};
            for (const Seen& seen : sight) {
              const Vector next = load(x + seen.at + channel);
              const Integers wins = (next > best) | ((next != next) & (best == best));
              best = floats((bits(next) & wins) | (bits(best) & ~wins));
              tap = ((Integers{} + seen.number) & wins) | (tap & ~wins);
            }
            store(y + at + channel, best);
            const Bytes bytes = __builtin_convertvector(tap, Bytes);
            std::memcpy(taken + at + channel, &bytes, sizeof bytes);
          },
          [&](int64_t channel) {
            float best = lowest;
            uint8_t tap = 0;
            for (const Seen& seen : sight) {
              const float next = number(x[seen.at + channel]);
              if (!(next > best || (next != next && best == best))) continue;
              best = next;
              tap = seen.number;
            }
            set(y[at + channel], best);
            taken[at + channel] = tap;
          });
    }
  });
}

// y = sum over the taps of those x that were taken. BACK: `taken` lies with x, which is a gradient;
// otherwise with y, which is a tangent.
template <bool BACK, typename Number>
void sum_of_taken(xla::ffi::ThreadPool& pool, const Number* x, const uint8_t* taken, const Maps& from,
                  Number* y, const Maps& to, int64_t window_width, const Axis& rows, const Axis& columns) {
  parallel(pool, to.images * rows.count, [&](int64_t line) {
    Sight sight(from, window_width, rows, columns);
    const int64_t image = line / rows.count, row = line % rows.count;
    const int64_t out_row = image * to.height + rows.first + row * rows.out_step;
    for (int64_t column = 0; column < columns.count; ++column) {
      const int64_t at =
          (out_row * to.width + columns.first + column * columns.out_step) * to.channels;
      sight.look(image, row, column);
      over_channels(
          to.channels,
          [&](int64_t channel) {
            Vector sum = {};
            for (const Seen& seen : sight) {
              const Integers own = load_bytes(taken + (BACK ? seen.at : at) + channel) == seen.number;
              sum += floats(bits(load(x + seen.at + channel)) & own);
            }
            store(y + at + channel, sum);
          },
          [&](int64_t channel) {
            float sum = 0;
            for (const Seen& seen : sight)
              if (taken[(BACK ? seen.at : at) + channel] == seen.number) sum += number(x[seen.at + channel]);
            set(y[at + channel], sum);
          });
    }
  });
}

}  // namespace ablax
