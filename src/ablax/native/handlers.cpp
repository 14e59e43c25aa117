// What XLA calls, for float32 and for bfloat16, whose sums are of float32; any stride, padding, dilation.
//
// A convolution in any number of groups, and its two transposes:
//
//   value            y[n, r, c, f] = sum over a, b, i of x[n, S r + D a - P, S c + D b - P, i] k[a, b, i, f]
//   image gradient   x' from y' and k
//   kernel gradient  k' from x and y'
//
// Each is linear in both of its arguments. Padding is that before the first row and column.
//
// The maximum of each window with the tap it took, and what goes forward and back through that choice.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "dense.h"
#include "dense_pairs.h"
#include "depthwise.h"
#include "kernel_gradient.h"
#include "pool.h"

namespace ablax {
namespace {

namespace ffi = xla::ffi;
using Pair = ffi::Span<const int64_t>;
template <ffi::DataType TYPE>
using In = ffi::Buffer<TYPE, 4>;
template <ffi::DataType TYPE>
using Out = ffi::ResultBuffer<TYPE, 4>;
using Shape = In<ffi::F32>::Dimensions;

// The numbers of an array.
inline const float* in(const In<ffi::F32>& array) { return array.typed_data(); }
inline const bfloat16* in(const In<ffi::BF16>& array) {
  return static_cast<const bfloat16*>(array.untyped_data());
}
inline float* out(Out<ffi::F32>& array) { return array->typed_data(); }
inline bfloat16* out(Out<ffi::BF16>& array) { return static_cast<bfloat16*>(array->untyped_data()); }

Maps maps(const Shape& shape) { return {shape[0], shape[1], shape[2], shape[3]}; }

Window window(const Shape& kernel, Pair stride, Pair padding, Pair dilation, int axis) {
  return {kernel[axis], stride[axis], padding[axis], dilation[axis]};
}

template <typename Number>
Weights<Number> weights(const Number* kernel, const Shape& shape, int64_t channels, bool exchanged) {
  return {kernel, shape[1], shape[2], shape[3], channels / shape[2], exchanged};
}

bool positive(Pair pair) { return pair.size() == 2 && pair[0] > 0 && pair[1] > 0; }

bool some(const Maps& maps) {
  return maps.images > 0 && maps.height > 0 && maps.width > 0 && maps.channels > 0;
}

// How many pixels the windows span along an axis.
double span(int64_t results, int64_t taps, int64_t stride, int64_t padding, int64_t dilation) {
  return 1.0 * stride * (results - 1) + 1.0 * dilation * (taps - 1) + std::abs(1.0 * padding) + 1;
}

// Beyond that, 64 bits would not count the numbers of a padded image.
constexpr double MOST_NUMBERS = 1e15;

// A division by zero or a read beyond an array would end the process: who calls is told instead.
ffi::Error misfit() { return ffi::Error::InvalidArgument("ablax: these shapes do not fit together"); }

bool fit(const Maps& images, const Shape& kernel, const Maps& results, Pair stride, Pair padding,
         Pair dilation) {
  if (!some(images) || !some(results) || !some(maps(kernel)) || padding.size() != 2) return false;
  if (!positive(stride) || !positive(dilation) || images.images != results.images) return false;
  if (images.channels % kernel[2] || results.channels != kernel[3]) return false;
  if (results.channels % (images.channels / kernel[2])) return false;
  return span(results.height, kernel[0], stride[0], padding[0], dilation[0]) *
             span(results.width, kernel[1], stride[1], padding[1], dilation[1]) * images.images *
             images.channels <= MOST_NUMBERS;
}

// `taken` and the results lie side by side, and a byte tells the taps apart.
bool fit(const Maps& images, const Maps& taken, const Maps& results, Pair size, Pair stride, Pair padding) {
  if (!some(images) || !some(results) || padding.size() != 2) return false;
  if (!positive(size) || !positive(stride) || size[0] > 256 || size[1] > 256 || size[0] * size[1] > 256)
    return false;
  if (span(results.height, size[0], stride[0], padding[0], 1) > MOST_NUMBERS ||
      span(results.width, size[1], stride[1], padding[1], 1) > MOST_NUMBERS)
    return false;
  return images.images == results.images && images.channels == results.channels &&
         taken.images == results.images && taken.height == results.height &&
         taken.width == results.width && taken.channels == results.channels;
}

// One channel a group and one feature a channel.
bool depthwise(const Shape& kernel, int64_t channels) { return kernel[2] == 1 && kernel[3] == channels; }

int64_t size(const Maps& maps) { return maps.images * maps.height * maps.width * maps.channels; }

// Calls `compute` with floats for two arrays and a result of bfloat16, then rounds what it wrote.
template <typename Compute>
void widened(const bfloat16* one, int64_t ones, const bfloat16* other, int64_t others, bfloat16* result,
             int64_t results, const Compute& compute) {
  const WorkingMemory<Use::widened> memory(ones + others + results);
  float *const a = memory.data(), *const b = a + ones, *const c = b + others;
  std::transform(one, one + ones, a, [](bfloat16 from) { return number(from); });
  std::transform(other, other + others, b, [](bfloat16 from) { return number(from); });
  compute(a, b, c);
  std::transform(c, c + results, result, [](float from) {
    bfloat16 to;
    set(to, from);
    return to;
  });
}

// The same, or with the numbers themselves: channels alone are widened while they are read, and products of
// pairs need no floats.
template <typename Compute>
void by_type(const Shape& kernel, int64_t channels, const bfloat16* one, int64_t ones, const bfloat16* other,
             int64_t others, bfloat16* result, int64_t results, const Compute& compute) {
  if (depthwise(kernel, channels) || pairs() != Pairs::none) return compute(one, other, result);
  widened(one, ones, other, others, result, results, compute);
}

template <typename Compute>
void by_type(const Shape&, int64_t, const float* one, int64_t, const float* other, int64_t, float* result, int64_t,
             const Compute& compute) {
  compute(one, other, result);
}

template <typename Number>
void compute_value(ffi::ThreadPool& pool, const Number* x, const Maps& from, const Number* kernel,
                   const Shape& shape, Number* y, const Maps& to, const Axis& rows, const Axis& columns) {
  if (depthwise(shape, from.channels))
    slide_channels(pool, x, from, y, to, kernel, shape[1], rows, columns);
  else
    slide(pool, x, from, y, to, weights(kernel, shape, from.channels, false), rows, columns);
}

template <ffi::DataType TYPE>
ffi::Error value(ffi::ThreadPool pool, In<TYPE> x, In<TYPE> kernel, Out<TYPE> y, Pair stride, Pair padding,
                 Pair dilation) {
  const Maps from = maps(x.dimensions()), to = maps(y->dimensions());
  const Shape shape = kernel.dimensions();
  if (!fit(from, shape, to, stride, padding, dilation)) return misfit();
  const Axis rows = along(window(shape, stride, padding, dilation, 0), to.height);
  const Axis columns = along(window(shape, stride, padding, dilation, 1), to.width);
  const auto compute = [&](const auto* x, const auto* kernel, auto* y) {
    compute_value(pool, x, from, kernel, shape, y, to, rows, columns);
  };
  by_type(shape, from.channels, in(x), size(from), in(kernel), size(maps(shape)), out(y), size(to), compute);
  return ffi::Error::Success();
}

template <typename Number>
void compute_image_gradient(ffi::ThreadPool& pool, const Number* gradient, const Maps& from,
                            const Number* kernel, const Shape& shape, Number* x, const Maps& to,
                            const std::vector<Axis>& down, const std::vector<Axis>& across) {
  const auto unseen = [](const Axis& phase) { return phase.taps.empty(); };
  if (std::any_of(down.begin(), down.end(), unseen) || std::any_of(across.begin(), across.end(), unseen))
    std::memset(x, 0, size(to) * sizeof(Number));
  for (const Axis& rows : down)
    for (const Axis& columns : across) {
      if (unseen(rows) || unseen(columns)) continue;
      if (depthwise(shape, to.channels))
        slide_channels(pool, gradient, from, x, to, kernel, shape[1], rows, columns);
      else
        slide(pool, gradient, from, x, to, weights(kernel, shape, to.channels, true), rows, columns);
    }
}

template <ffi::DataType TYPE>
ffi::Error image_gradient(ffi::ThreadPool pool, In<TYPE> gradient, In<TYPE> kernel, Out<TYPE> x, Pair stride,
                          Pair padding, Pair dilation) {
  const Maps from = maps(gradient.dimensions()), to = maps(x->dimensions());
  const Shape shape = kernel.dimensions();
  if (!fit(to, shape, from, stride, padding, dilation)) return misfit();
  const auto down = back_along(window(shape, stride, padding, dilation, 0), to.height);
  const auto across = back_along(window(shape, stride, padding, dilation, 1), to.width);
  const auto compute = [&](const auto* gradient, const auto* kernel, auto* x) {
    compute_image_gradient(pool, gradient, from, kernel, shape, x, to, down, across);
  };
  by_type(shape, to.channels, in(gradient), size(from), in(kernel), size(maps(shape)), out(x), size(to), compute);
  return ffi::Error::Success();
}

template <ffi::DataType TYPE>
ffi::Error kernel_gradient_of(ffi::ThreadPool pool, In<TYPE> x, In<TYPE> gradient, Out<TYPE> kernel,
                              Pair stride, Pair padding, Pair dilation) {
  const Maps from = maps(x.dimensions()), to = maps(gradient.dimensions());
  const Shape shape = kernel->dimensions();
  if (!fit(from, shape, to, stride, padding, dilation)) return misfit();
  const Axis rows = along(window(shape, stride, padding, dilation, 0), to.height);
  const Axis columns = along(window(shape, stride, padding, dilation, 1), to.width);
  const auto compute = [&](const auto* x, const auto* gradient, auto* kernel) {
    if (depthwise(shape, from.channels))
      channels_kernel_gradient(pool, x, from, gradient, to, kernel, rows, columns);
    else
      kernel_gradient(pool, x, from, gradient, to, kernel, from.channels / shape[2], rows, columns);
  };
  by_type(shape, from.channels, in(x), size(from), in(gradient), size(to), out(kernel), size(maps(shape)), compute);
  return ffi::Error::Success();
}

using Bytes4 = ffi::Buffer<ffi::U8, 4>;

Window pool_window(Pair size, Pair stride, Pair padding, int axis) {
  return {size[axis], stride[axis], padding[axis], 1};
}

template <ffi::DataType TYPE>
ffi::Error maximum(ffi::ThreadPool pool, In<TYPE> x, Out<TYPE> y, ffi::Result<Bytes4> taken, Pair size, Pair stride,
                   Pair padding) {
  const Maps from = maps(x.dimensions()), to = maps(y->dimensions());
  if (!fit(from, maps(taken->dimensions()), to, size, stride, padding)) return misfit();
  first_maximum(pool, in(x), from, out(y), taken->typed_data(), to,
                along(pool_window(size, stride, padding, 0), to.height),
                along(pool_window(size, stride, padding, 1), to.width));
  return ffi::Error::Success();
}

template <ffi::DataType TYPE>
ffi::Error taken_tangent(ffi::ThreadPool pool, In<TYPE> tangent, Bytes4 taken, Out<TYPE> y, Pair size, Pair stride,
                         Pair padding) {
  const Maps from = maps(tangent.dimensions()), to = maps(y->dimensions());
  if (!fit(from, maps(taken.dimensions()), to, size, stride, padding)) return misfit();
  sum_of_taken<false>(pool, in(tangent), taken.typed_data(), from, out(y), to,
                      size[1], along(pool_window(size, stride, padding, 0), to.height),
                      along(pool_window(size, stride, padding, 1), to.width));
  return ffi::Error::Success();
}

template <ffi::DataType TYPE>
ffi::Error taken_gradient(ffi::ThreadPool pool, In<TYPE> gradient, Bytes4 taken, Out<TYPE> x, Pair size, Pair stride,
                          Pair padding) {
  const Maps from = maps(gradient.dimensions()), to = maps(x->dimensions());
  if (!fit(to, maps(taken.dimensions()), from, size, stride, padding)) return misfit();
  for (const Axis& rows : back_along(pool_window(size, stride, padding, 0), to.height))
    for (const Axis& columns : back_along(pool_window(size, stride, padding, 1), to.width))
      sum_of_taken<true>(pool, in(gradient), taken.typed_data(), from, out(x), to, size[1],
                         rows, columns);
  return ffi::Error::Success();
}

// The handler; where memory is short, who calls is told too.
template <auto HANDLER>
struct Told;
template <typename... Arguments, ffi::Error (*HANDLER)(Arguments...)>
struct Told<HANDLER> {
  static ffi::Error call(Arguments... arguments) {
    try {
      return HANDLER(arguments...);
    } catch (const std::bad_alloc&) {
      return ffi::Error(ffi::ErrorCode::kResourceExhausted, "ablax: there is not enough memory for this");
    }
  }
};

template <ffi::DataType TYPE>
auto maximum_signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<In<TYPE>>()
      .template Ret<In<TYPE>>()
      .template Ret<Bytes4>()
      .template Attr<Pair>("window")
      .template Attr<Pair>("stride")
      .template Attr<Pair>("padding");
}

template <ffi::DataType TYPE>
auto taken_signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<In<TYPE>>()
      .template Arg<Bytes4>()
      .template Ret<In<TYPE>>()
      .template Attr<Pair>("window")
      .template Attr<Pair>("stride")
      .template Attr<Pair>("padding");
}

template <ffi::DataType TYPE>
auto signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<In<TYPE>>()
      .template Arg<In<TYPE>>()
      .template Ret<In<TYPE>>()
      .template Attr<Pair>("stride")
      .template Attr<Pair>("padding")
      .template Attr<Pair>("dilation");
}

}  // namespace
}  // namespace ablax

// How products of pairs are made here: 0 not at all, 1 by vectors, 2 by tiles.
extern "C" int ablax_pairs() { return static_cast<int>(ablax::pairs()); }

#define ABLAX_HANDLER(NAME, FUNCTION, SIGNATURE)                                                   \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(NAME##_float32, ablax::Told<ablax::FUNCTION<xla::ffi::F32>>::call, \
                                ablax::SIGNATURE<xla::ffi::F32>());                                \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(NAME##_bfloat16, ablax::Told<ablax::FUNCTION<xla::ffi::BF16>>::call, \
                                ablax::SIGNATURE<xla::ffi::BF16>())

ABLAX_HANDLER(ablax_convolution, value, signature);
ABLAX_HANDLER(ablax_image_gradient, image_gradient, signature);
ABLAX_HANDLER(ablax_kernel_gradient, kernel_gradient_of, signature);
ABLAX_HANDLER(ablax_maximum, maximum, maximum_signature);
ABLAX_HANDLER(ablax_taken_tangent, taken_tangent, taken_signature);
ABLAX_HANDLER(ablax_taken_gradient, taken_gradient, taken_signature);
