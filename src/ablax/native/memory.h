// Working memory that a thread keeps from call to call.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace ablax {

// What the memory is for; each thread has one of a kind.
enum class Use { weights, sums, scratch };

constexpr int64_t MOST_KEPT = 4 * 1024 * 1024;  // numbers; more are given back when they are done with

constexpr std::align_val_t ALIGNMENT{64};

// At least so many floats, of any content, for as long as it lives.
//
// Fresh memory comes from the system page by page, filled with zeros, which took up to a fifth of a
// convolution with many weights.
template <Use USE>
class WorkingMemory {
 public:
  explicit WorkingMemory(int64_t numbers) {
    if (kept().size >= numbers) return;
    kept() = {};
    kept().data.reset(static_cast<float*>(::operator new[](numbers * sizeof(float), ALIGNMENT)));
    kept().size = numbers;
  }
  WorkingMemory(const WorkingMemory&) = delete;
  ~WorkingMemory() {
    if (kept().size > MOST_KEPT) kept() = {};
  }

  float* data() const { return kept().data.get(); }

 private:
  struct Free {
    void operator()(float* data) const { ::operator delete[](data, ALIGNMENT); }
  };
  struct Kept {
    std::unique_ptr<float[], Free> data;
    int64_t size = 0;
  };
  static Kept& kept() {
    static thread_local Kept kept;
    return kept;
  }
};

}  // namespace ablax
