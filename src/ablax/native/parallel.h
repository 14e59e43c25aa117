// Work divided among the threads of XLA's CPU client.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <thread>

#include "xla/ffi/api/ffi.h"

namespace ablax {

// Calls task(0) ... task(count - 1), each once, and returns when all are done.
//
// Whoever is free takes the next number. The caller works too and waits for numbers that are taken
// alone, never for a thread to start: threads that are all busy waiting cannot block each other. A
// helper that starts late finds no number left and does not touch `task`, which is gone by then.
// Where there was no memory for a task, that is thrown here when all have ended.
template <typename Task>
void parallel(xla::ffi::ThreadPool& pool, int64_t count, const Task& task) {
  struct Progress {
    std::atomic<int64_t> taken{0};
    std::atomic<int64_t> done{0};
    std::atomic<bool> no_memory{false};
  };
  auto progress = std::make_shared<Progress>();
  auto work = [progress, count, &task] {
    for (int64_t number; (number = progress->taken.fetch_add(1)) < count;) {
      try {
        task(number);
      } catch (const std::bad_alloc&) {
        progress->no_memory = true;
      }
      progress->done.fetch_add(1, std::memory_order_release);
    }
  };
  const int64_t helpers = std::min(pool.num_threads(), count) - 1;
  for (int64_t helper = 0; helper < helpers; ++helper) pool.Schedule(std::function<void()>(work));
  work();
  while (progress->done.load(std::memory_order_acquire) < count) std::this_thread::yield();
  if (progress->no_memory) throw std::bad_alloc();
}

}  // namespace ablax
