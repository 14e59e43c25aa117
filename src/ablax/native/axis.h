// Which numbers along one axis a sliding window reads and writes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ablax {

// y[first + out_step t] = sum over the taps of x[in_step t + offset] times the tap's weight,
// for t = 0 ... count - 1.
struct Axis {
  int64_t count, first, out_step, in_step;
  std::vector<int64_t> taps, offsets;
};

// How a window lies along one axis.
struct Window {
  int64_t taps, stride, padding, dilation;
};

// The convolution itself: y[t] = sum over a of x[S t + D a - P] k[a]. One result has no stride.
inline Axis along(const Window& window, int64_t outputs) {
  Axis axis{outputs, 0, 1, outputs == 1 ? 1 : window.stride, {}, {}};
  for (int64_t tap = 0; tap < window.taps; ++tap) {
    axis.taps.push_back(tap);
    axis.offsets.push_back(window.dilation * tap - window.padding);
  }
  return axis;
}

// Its transpose, as a convolution for each of the S phases of x: x'[p + S t] = sum over those a for
// which p + P - D a is a multiple of S of y'[t + (p + P - D a) / S] k[a].
inline std::vector<Axis> back_along(const Window& window, int64_t inputs) {
  std::vector<Axis> phases;
  for (int64_t phase = 0; phase < std::min(window.stride, inputs); ++phase) {
    const int64_t count = (inputs - phase + window.stride - 1) / window.stride;
    Axis axis{count, phase, count == 1 ? 1 : window.stride, 1, {}, {}};
    for (int64_t tap = 0; tap < window.taps; ++tap) {
      const int64_t place = phase + window.padding - window.dilation * tap;
      if (place % window.stride) continue;
      axis.taps.push_back(tap);
      axis.offsets.push_back(place / window.stride);
    }
    phases.push_back(axis);
  }
  return phases;
}

}  // namespace ablax
