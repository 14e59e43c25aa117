// Runs of floats that the processor multiplies and adds at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ablax {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int REGISTERS = 32;
#elif defined(__AVX__)
constexpr int LANES = 8;
constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int LANES = 4;
constexpr int REGISTERS = 32;
#else
constexpr int LANES = 4;
constexpr int REGISTERS = 16;
#endif

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

inline Vector load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vector v) { std::memcpy(to, &v, sizeof v); }

// Stores the first `count` numbers only.
inline void store_some(float* to, Vector v, int64_t count) {
  if (count >= LANES) return store(to, v);
  for (int64_t lane = 0; lane < count; ++lane) to[lane] = v[lane];
}

// Calls vector(first) for runs of LANES channels that cover all: the last may overlap the one before.
// With fewer channels than lanes, calls single(channel) for each.
template <typename WholeVector, typename Single>
void over_channels(int64_t channels, const WholeVector& vector, const Single& single) {
  if (channels < LANES) {
    for (int64_t channel = 0; channel < channels; ++channel) single(channel);
    return;
  }
  for (int64_t first = 0; first < channels; first += LANES) vector(std::min(first, channels - LANES));
}

}  // namespace ablax
