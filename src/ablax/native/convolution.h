// Convolutions by oneDNN, whose code for this processor is made when a geometry is first met.
//
// oneDNN is given one thread at a time: the images of a batch are shared among XLA's threads here. So there
// are no threads of OpenMP's, and what an image gives does not depend on how many cores there are; the
// gradient of a kernel is the sum over the parts of a batch, one for each thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>
#include <vector>

#include "maps.h"
#include "memory.h"
#include "parallel.h"

// Of the OpenMP that oneDNN is built with.
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int);

namespace ablax {

using Described = dnnl::memory::desc;
using Numbers = dnnl::memory::data_type;

enum class Sought { value, image_gradient, kernel_gradient };

// A kernel (h w i F) slides over images, along rows and columns.
struct Geometry {
  Maps images, results;
  int64_t taps[2], inputs, stride[2], before[2], dilation[2];

  int64_t groups() const { return images.channels / inputs; }

  // The padding after the last row or column that a window reaches.
  int64_t after(int axis) const {
    const int64_t length = axis ? images.width : images.height, places = axis ? results.width : results.height;
    const int64_t reach = stride[axis] * (places - 1) + dilation[axis] * (taps[axis] - 1) + 1;
    return std::max<int64_t>(0, reach - length - before[axis]);
  }

  auto key() const {
    return std::make_tuple(images.images, images.height, images.width, images.channels, results.height,
                           results.width, results.channels, taps[0], taps[1], inputs, stride[0], stride[1],
                           before[0], before[1], dilation[0], dilation[1]);
  }
};

// In this scope oneDNN computes in the thread that calls it.
class Alone {
 public:
  Alone() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  Alone(const Alone&) = delete;
  ~Alone() { omp_set_num_threads(before_); }

 private:
  int before_;
};

inline const dnnl::engine& engine() {
  static const auto* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives all threads
  return *engine;
}

inline dnnl::stream& stream() {
  static thread_local dnnl::stream stream(engine());
  return stream;
}

inline dnnl::memory at(const Described& what, const void* data) {
  return {what, engine(), const_cast<void*>(data)};
}

inline int64_t floats(const Described& what) { return (what.get_size() + sizeof(float) - 1) / sizeof(float); }

inline void copy(const Described& from, const void* one, const Described& to, void* other) {
  dnnl::memory source = at(from, one), target = at(to, other);
  dnnl::reorder(source, target).execute(stream(), source, target);
}

inline Described described(Maps maps, int64_t images, Numbers numbers) {
  return {{images, maps.channels, maps.height, maps.width}, numbers, dnnl::memory::format_tag::nhwc};
}

// A kernel as XLA has it, or in the order that oneDNN likes best.
inline Described described_kernel(const Geometry& geometry, Numbers numbers, bool best) {
  using Tag = dnnl::memory::format_tag;
  const int64_t groups = geometry.groups(), features = geometry.results.channels;
  if (groups == 1)
    return {{features, geometry.inputs, geometry.taps[0], geometry.taps[1]}, numbers, best ? Tag::any : Tag::hwio};
  return {{groups, features / groups, geometry.inputs, geometry.taps[0], geometry.taps[1]},
          numbers,
          best ? Tag::any : Tag::hwigo};
}

// One of the three operations for so many images.
class Operation {
 public:
  Operation(Sought sought, Numbers numbers, const Geometry& geometry, int64_t images, const Described& kernel)
      : images(described(geometry.images, images, numbers)),
        results(described(geometry.results, images, numbers)) {
    const dnnl::memory::dims stride{geometry.stride[0], geometry.stride[1]},
        holes{geometry.dilation[0] - 1, geometry.dilation[1] - 1}, before{geometry.before[0], geometry.before[1]},
        after{geometry.after(0), geometry.after(1)};
    dnnl::primitive_attr own;
    own.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto direct = dnnl::algorithm::convolution_direct;
    const Described like =
        sought == Sought::kernel_gradient ? described_kernel(geometry, numbers, true) : kernel;
    const dnnl::convolution_forward::primitive_desc forward(engine(), dnnl::prop_kind::forward_training, direct,
                                                            this->images, like, results, stride, holes, before,
                                                            after, own);
    if (sought == Sought::value) {
      take<dnnl::convolution_forward>(forward, forward.weights_desc());
    } else if (sought == Sought::image_gradient) {
      const dnnl::convolution_backward_data::primitive_desc back(engine(), direct, this->images, kernel, results,
                                                                 stride, holes, before, after, forward, own);
      take<dnnl::convolution_backward_data>(back, back.weights_desc());
    } else {
      const dnnl::convolution_backward_weights::primitive_desc back(
          engine(), direct, this->images, kernel, results, stride, holes, before, after, forward, own);
      take<dnnl::convolution_backward_weights>(back, back.diff_weights_desc());
    }
  }

  // Each image, kernel and result is there already or is what is sought.
  void operator()(Sought sought, const void* x, const void* kernel, const void* y) const {
    const WorkingMemory<Use::scratch> scratch(floats(scratch_));
    const int arguments[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                 {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                 {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    const int* const names = arguments[static_cast<int>(sought)];
    primitive_.execute(stream(), {{names[0], at(images, x)},
                                  {names[1], at(this->kernel, kernel)},
                                  {names[2], at(results, y)},
                                  {DNNL_ARG_SCRATCHPAD, at(scratch_, scratch.data())}});
  }

  Described images, results, kernel;

 private:
  template <typename Primitive, typename Details>
  void take(const Details& details, const Described& kernel) {
    primitive_ = Primitive(details);
    this->kernel = kernel;
    scratch_ = details.scratchpad_desc();
  }

  dnnl::primitive primitive_;
  Described scratch_;
};

// What is computed for a geometry by so many threads: equal parts of the batch and, perhaps, a smaller last.
class Plan {
 public:
  Plan(Sought sought, Numbers numbers, const Geometry& geometry, int64_t threads)
      : sought_(sought), each_((geometry.images.images + threads - 1) / threads),
        parts_((geometry.images.images + each_ - 1) / each_),
        plain_(described_kernel(geometry, numbers, false)),
        sums_(described_kernel(geometry, Numbers::f32, false)) {
    const bool gradient = sought == Sought::kernel_gradient;  // whose sums are of float32
    const Described best = described_kernel(geometry, gradient ? Numbers::f32 : numbers, true);
    whole_ = std::make_unique<Operation>(sought, numbers, geometry, each_, best);
    const int64_t rest = geometry.images.images - each_ * (parts_ - 1);
    if (rest != each_)
      rest_ = std::make_unique<Operation>(sought, numbers, geometry, rest, gradient ? best : whole_->kernel);
  }

  void operator()(xla::ffi::ThreadPool& pool, const void* x, void* kernel, const void* y) const {
    const Alone alone;
    if (sought_ == Sought::kernel_gradient) return kernel_gradient(pool, x, kernel, y);
    const bool packed = whole_->kernel != plain_;
    const WorkingMemory<Use::weights> weights(packed ? floats(whole_->kernel) : 0);
    if (packed) copy(plain_, kernel, whole_->kernel, weights.data());
    const void* const seen = packed ? weights.data() : kernel;  // in this thread's memory
    parallel(pool, parts_, [&](int64_t part) { run(part, x, seen, y); });
  }

 private:
  const Operation& operation(int64_t part) const { return rest_ && part + 1 == parts_ ? *rest_ : *whole_; }

  void run(int64_t part, const void* x, const void* kernel, const void* y) const {
    const Alone alone;
    const auto skip = [&](const void* data, const Described& whole) {
      return static_cast<const char*>(data) + part * whole.get_size();
    };
    operation(part)(sought_, skip(x, whole_->images), kernel, skip(y, whole_->results));
  }

  // The sum of the parts' gradients, in their order.
  void kernel_gradient(xla::ffi::ThreadPool& pool, const void* x, void* kernel, const void* y) const {
    const int64_t size = floats(sums_);
    const bool rounded = sums_ != plain_;
    const WorkingMemory<Use::sums> memory(size * (parts_ - !rounded));
    float* const rest = memory.data();
    float* const sums = rounded ? rest + size * (parts_ - 1) : static_cast<float*>(kernel);
    parallel(pool, parts_, [&](int64_t part) {
      const Alone alone;
      const Described& own = operation(part).kernel;
      float* const to = part ? rest + size * (part - 1) : sums;
      if (own == sums_) return run(part, x, to, y);
      const WorkingMemory<Use::weights> gradient(floats(own));
      run(part, x, gradient.data(), y);
      copy(own, gradient.data(), sums_, to);
    });
    constexpr int64_t RUN = 1 << 14;
    if (parts_ > 1)
      parallel(pool, (size + RUN - 1) / RUN, [&](int64_t number) {
        const int64_t last = std::min(size, (number + 1) * RUN);
        for (int64_t part = 1; part < parts_; ++part)
          for (int64_t weight = number * RUN; weight < last; ++weight)
            sums[weight] += rest[size * (part - 1) + weight];
      });
    if (rounded) copy(sums_, sums, plain_, kernel);
  }

  Sought sought_;
  int64_t each_, parts_;
  Described plain_, sums_;
  std::unique_ptr<Operation> whole_, rest_;
};

// The plan for a geometry, which is kept.
inline std::shared_ptr<const Plan> plan(Sought sought, Numbers numbers, const Geometry& geometry, int64_t threads) {
  static auto& kept = *new std::map<decltype(std::tuple_cat(std::make_tuple(sought, numbers, threads), geometry.key())),
                                    std::shared_ptr<const Plan>>;
  static std::mutex one_at_a_time;
  constexpr size_t MOST = 1024;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  if (kept.size() > MOST) kept.clear();
  auto& found = kept[std::tuple_cat(std::make_tuple(sought, numbers, threads), geometry.key())];
  if (!found) {
    const Alone alone;
    found = std::make_shared<const Plan>(sought, numbers, geometry, threads);
  }
  return found;
}

}  // namespace ablax
