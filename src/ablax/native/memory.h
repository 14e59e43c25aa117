// Working memory that a thread keeps from call to call.
#pragma once

#include <cstdint>
#include <memory>

namespace ablax {

// What the memory is for; each thread has one of a kind.
enum class Use { weights, band, sums, room };

// At least so many floats, of any content, until the thread asks for the same use again.
//
// Fresh memory comes from the system page by page, filled with zeros, which took up to a fifth of a
// convolution with many weights.
template <Use USE>
float* working_memory(int64_t numbers) {
  struct Kept {
    std::unique_ptr<float[]> data;
    int64_t size = 0;
  };
  static thread_local Kept kept;
  if (kept.size < numbers) {
    kept.data.reset();
    kept.data.reset(new float[numbers]);
    kept.size = numbers;
  }
  return kept.data.get();
}

}  // namespace ablax
