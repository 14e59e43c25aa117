// Runs of floats that the processor multiplies and adds at once.
#pragma once

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

}  // namespace ablax
