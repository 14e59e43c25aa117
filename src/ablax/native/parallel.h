// Work divided among the threads of XLA's CPU client.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <thread>

#include "xla/ffi/api/ffi.h"

namespace ablax {

// Calls task(0) ... task(count - 1), each once, and returns when all are done.
//
// Whoever is free takes the next number. The caller works too and waits for numbers that are taken
// alone, never for a thread to start: threads that are all busy waiting cannot block each other. A
// helper that starts late finds no number left and does not touch `task`, which is gone by then.
// What a task throws, the first that does, is thrown here when all have ended: a thread of XLA's would end
// the process by it.
template <typename Task>
void parallel(xla::ffi::ThreadPool& pool, int64_t count, const Task& task) {
  struct Progress {
    std::atomic<int64_t> taken{0};
    std::atomic<int64_t> done{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;
  };
  auto progress = std::make_shared<Progress>();
  auto work = [progress, count, &task] {
    for (int64_t number; (number = progress->taken.fetch_add(1)) < count;) {
      try {
        task(number);
      } catch (...) {
        if (!progress->failed.exchange(true)) progress->error = std::current_exception();
      }
      progress->done.fetch_add(1, std::memory_order_release);
    }
  };
  const int64_t helpers = std::min(pool.num_threads(), count) - 1;
  for (int64_t helper = 0; helper < helpers; ++helper) pool.Schedule(std::function<void()>(work));
  work();
  while (progress->done.load(std::memory_order_acquire) < count) std::this_thread::yield();
  if (progress->failed) std::rethrow_exception(progress->error);
}

}  // namespace ablax
