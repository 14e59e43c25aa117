// Runs of floats that the processor multiplies and adds at once, read from and written to arrays of
// float32 or bfloat16, whose numbers are the upper halves of float32's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ablax {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

inline Vector load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vector v) { std::memcpy(to, &v, sizeof v); }

struct bfloat16 {
  uint16_t bits;
};

inline float number(float from) { return from; }

inline float number(bfloat16 from) {
  const uint32_t bits = uint32_t{from.bits} << 16;
  float as;
  std::memcpy(&as, &bits, sizeof as);
  return as;
}

inline void set(float& to, float from) { to = from; }

// The nearest, of two equally near ones the even; a NaN stays one.
inline void set(bfloat16& to, float from) {
  uint32_t bits;
  std::memcpy(&bits, &from, sizeof bits);
  to.bits = (from != from ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

typedef uint16_t Halves __attribute__((vector_size(LANES * sizeof(uint16_t))));
typedef uint32_t Words __attribute__((vector_size(LANES * sizeof(uint32_t))));

inline Vector load(const bfloat16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  Vector v;
  std::memcpy(&v, &words, sizeof v);
  return v;
}

inline void store(bfloat16* to, Vector v) {
  Words bits;
  std::memcpy(&bits, &v, sizeof bits);
  const Words nan = reinterpret_cast<Words>(v != v);
  bits = (nan & (bits | 0x400000)) | (~nan & (bits + 0x7fff + (bits >> 16 & 1)));
  const Halves halves = __builtin_convertvector(bits >> 16, Halves);
  std::memcpy(to, &halves, sizeof halves);
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
