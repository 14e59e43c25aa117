// Products of bfloat16, two at a time, summed in float32: by AMX's tiles or AVX-512's vectors.
//
// Both are asked for at run time, of the processor and of the system. Where neither is there, bfloat16 is
// widened while it is read, and the loops for float32 compute.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "vectors.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__linux__) && \
    defined(__has_include)
#if __has_include(<amxbf16intrin.h>) && __has_include(<avx512bf16intrin.h>)
#define ABLAX_PAIRS 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace ablax {

enum class Pairs { none, vectors, tiles };

constexpr int TILE = 16;         // rows of a tile, and numbers of float32 in a row
constexpr int CHUNK = 2 * TILE;  // numbers of bfloat16 in a row

// How a run of numbers is cut into chunks of equal length. The last one may overlap the one before;
// what it repeats has weights of zero.
struct Chunks {
  int64_t count, pairs, last;

  explicit Chunks(int64_t numbers) {
    const int64_t all = (numbers + 1) / 2;
    count = (all + TILE - 1) / TILE;
    pairs = (all + count - 1) / count;
    last = 2 * (all - pairs);
  }
  int64_t begin(int64_t chunk) const { return std::min(chunk * 2 * pairs, last); }
  // How many numbers at the beginning of a chunk were in the one before.
  int64_t repeated(int64_t chunk) const { return chunk * 2 * pairs - begin(chunk); }
  int64_t size() const { return count * pairs * 2 * TILE; }  // numbers of a run for TILE features
};

// sums[row, feature] = the sum over runs and numbers of a[row, number] b[number, feature], for one or two
// blocks of up to TILE rows, by one or two runs of TILE features.
struct Product {
  const bfloat16* a[2];
  int64_t rows[2];  // 0 where there is no second block
  int64_t a_step;   // between rows
  const int64_t* runs;
  int64_t run_count;
  const bfloat16* b;  // by run and chunk: (vector, pair, feature, 2)
  int64_t vectors;
  float* sums[2];
  int64_t sums_step;
  bool add;  // to what is there
};

#if defined(ABLAX_PAIRS)

// What is used at most: a test tries all that there is.
inline Pairs most_pairs = Pairs::tiles;

// What this processor has, and the system lets this process use.
inline Pairs pairs() {
  static const auto found = [] {
    unsigned a = 0, b = 0, c = 0, d = 0, more = 0;
    std::pair<bool, bool> has;
    if (!__get_cpuid_count(7, 0, &more, &b, &c, &d)) return has;
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM
    const bool tiles = (d >> 22 & 1) && (d >> 24 & 1);
    has.second = tiles && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
    has.first = more > 0 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
    return has;
  }();
  if (found.second && most_pairs >= Pairs::tiles) return Pairs::tiles;
  return found.first && most_pairs >= Pairs::vectors ? Pairs::vectors : Pairs::none;
}

// The tiles of a thread: how many rows and columns each has. Given back at the end.
class Tiles {
 public:
  Tiles() = default;
  Tiles(const Tiles&) = delete;
  __attribute__((target("amx-tile"))) ~Tiles() {
    if (now_.palette) _tile_release();
  }

  // 0 to 3 hold sums, 4 and 5 rows of a, 6 and 7 pairs of b.
  __attribute__((target("amx-tile"))) void shape(const Product& p, int64_t pairs) {
    Shape wanted;
    wanted.palette = 1;
    for (int half = 0; half < 2; ++half) {
      const int64_t rows = std::max<int64_t>(1, p.rows[half]);
      for (int vector = 0; vector < 2; ++vector) wanted.set(2 * half + vector, rows, TILE * sizeof(float));
      wanted.set(4 + half, rows, 2 * pairs * sizeof(bfloat16));
      wanted.set(6 + half, pairs, CHUNK * sizeof(bfloat16));
    }
    if (!std::memcmp(&wanted, &now_, sizeof now_)) return;
    now_ = wanted;
    _tile_loadconfig(&now_);
  }

 private:
  struct Shape {
    uint8_t palette = 0, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
    void set(int tile, int64_t count, int64_t width) {
      rows[tile] = count;
      bytes[tile] = width;
    }
  };
  Shape now_;
};

template <int BLOCKS, int VECTORS>
__attribute__((target("amx-tile,amx-bf16"))) void by_tiles(const Product& p, const Chunks& chunks) {
  const int64_t sums_step = p.sums_step * sizeof(float), a_step = p.a_step * sizeof(bfloat16);
  constexpr int64_t b_step = CHUNK * sizeof(bfloat16);
  if (p.add) {
    _tile_loadd(0, p.sums[0], sums_step);
    if constexpr (VECTORS > 1) _tile_loadd(1, p.sums[0] + TILE, sums_step);
    if constexpr (BLOCKS > 1) _tile_loadd(2, p.sums[1], sums_step);
    if constexpr (BLOCKS > 1 && VECTORS > 1) _tile_loadd(3, p.sums[1] + TILE, sums_step);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const bfloat16* b = p.b;
  for (int64_t run = 0; run < p.run_count; ++run)
    for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
      const int64_t at = p.runs[run] + chunks.begin(chunk);
      _tile_loadd(6, b, b_step);
      b += chunks.pairs * CHUNK;
      if constexpr (VECTORS > 1) {
        _tile_loadd(7, b, b_step);
        b += chunks.pairs * CHUNK;
      }
      _tile_loadd(4, p.a[0] + at, a_step);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (VECTORS > 1) _tile_dpbf16ps(1, 4, 7);
      if constexpr (BLOCKS > 1) {
        _tile_loadd(5, p.a[1] + at, a_step);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (VECTORS > 1) _tile_dpbf16ps(3, 5, 7);
      }
    }
  _tile_stored(0, p.sums[0], sums_step);
  if constexpr (VECTORS > 1) _tile_stored(1, p.sums[0] + TILE, sums_step);
  if constexpr (BLOCKS > 1) _tile_stored(2, p.sums[1], sums_step);
  if constexpr (BLOCKS > 1 && VECTORS > 1) _tile_stored(3, p.sums[1] + TILE, sums_step);
}

template <int ROWS, int VECTORS>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void by_vectors(
    const Product& p, const Chunks& chunks, const bfloat16* a, float* sums) {
  __m512 own[ROWS][VECTORS];
  for (int row = 0; row < ROWS; ++row)
    for (int vector = 0; vector < VECTORS; ++vector)
      own[row][vector] =
          p.add ? _mm512_loadu_ps(sums + row * p.sums_step + vector * TILE) : _mm512_setzero_ps();
  const bfloat16* b = p.b;
  for (int64_t run = 0; run < p.run_count; ++run)
    for (int64_t chunk = 0; chunk < chunks.count; ++chunk, b += VECTORS * chunks.pairs * CHUNK) {
      const bfloat16* from = a + p.runs[run] + chunks.begin(chunk);
      for (int64_t pair = 0; pair < chunks.pairs; ++pair) {
        __m512bh weights[VECTORS];
        for (int vector = 0; vector < VECTORS; ++vector)
          weights[vector] =
              (__m512bh)_mm512_loadu_si512(b + (vector * chunks.pairs + pair) * CHUNK);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; ++row) {
          int32_t both;
          std::memcpy(&both, from + row * p.a_step + 2 * pair, sizeof both);
          const __m512bh numbers = (__m512bh)_mm512_set1_epi32(both);
          for (int vector = 0; vector < VECTORS; ++vector)
            own[row][vector] = _mm512_dpbf16_ps(own[row][vector], numbers, weights[vector]);
        }
      }
    }
  for (int row = 0; row < ROWS; ++row)
    for (int vector = 0; vector < VECTORS; ++vector)
      _mm512_storeu_ps(sums + row * p.sums_step + vector * TILE, own[row][vector]);
}

template <int VECTORS>
void by_vectors_of(const Product& p, const Chunks& chunks) {
  for (int block = 0; block < 2; ++block)
    for (int64_t row = 0, some; row < p.rows[block]; row += some) {
      const int64_t left = p.rows[block] - row;
      some = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const auto multiply = some == 8   ? by_vectors<8, VECTORS>
                            : some == 4 ? by_vectors<4, VECTORS>
                            : some == 2 ? by_vectors<2, VECTORS>
                                        : by_vectors<1, VECTORS>;
      multiply(p, chunks, p.a[block] + row * p.a_step, p.sums[block] + row * p.sums_step);
    }
}

inline void multiply(const Product& p, const Chunks& chunks, Tiles& tiles) {
  if (pairs() != Pairs::tiles)
    return p.vectors == 1 ? by_vectors_of<1>(p, chunks) : by_vectors_of<2>(p, chunks);
  tiles.shape(p, chunks.pairs);
  if (p.rows[1])
    p.vectors == 1 ? by_tiles<2, 1>(p, chunks) : by_tiles<2, 2>(p, chunks);
  else
    p.vectors == 1 ? by_tiles<1, 1>(p, chunks) : by_tiles<1, 2>(p, chunks);
}

// The numbers of two rows beside each other; those that are masked are zero and not read.
inline __m512i beside(const bfloat16* first, __mmask16 of_first, const bfloat16* second, __mmask16 of_second) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(of_first, first));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(of_second, second));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

inline __mmask16 first_of(int64_t count) { return count >= TILE ? 0xffff : (1u << count) - 1; }

// Exchanges rows and columns of TILE rows of TILE words.
inline void exchange(__m512i (&rows)[TILE]) {
  __m512i other[TILE];
  for (int row = 0; row < TILE; row += 2) {
    other[row] = _mm512_unpacklo_epi32(rows[row], rows[row + 1]);
    other[row + 1] = _mm512_unpackhi_epi32(rows[row], rows[row + 1]);
  }
  for (int row = 0; row < TILE; row += 4)
    for (int one = 0; one < 2; ++one) {
      rows[row + 2 * one] = _mm512_unpacklo_epi64(other[row + one], other[row + 2 + one]);
      rows[row + 2 * one + 1] = _mm512_unpackhi_epi64(other[row + one], other[row + 2 + one]);
    }
  // Now rows[4 q + c] holds, in each quarter l, column 4 l + c of rows 4 q ... 4 q + 3.
  for (int column = 0; column < 4; ++column) {
    const __m512i a = _mm512_shuffle_i32x4(rows[column], rows[4 + column], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(rows[column], rows[4 + column], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(rows[8 + column], rows[12 + column], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(rows[8 + column], rows[12 + column], 0xdd);
    other[column] = _mm512_shuffle_i32x4(a, c, 0x88);
    other[8 + column] = _mm512_shuffle_i32x4(a, c, 0xdd);
    other[4 + column] = _mm512_shuffle_i32x4(b, d, 0x88);
    other[12 + column] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
  std::memcpy(rows, other, sizeof other);
}

#else

inline Pairs most_pairs = Pairs::none;
inline Pairs pairs() { return Pairs::none; }

#endif

}  // namespace ablax
