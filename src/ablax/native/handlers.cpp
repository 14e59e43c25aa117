// What XLA calls, all of float32, for any stride, padding and dilation.
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
#include "depthwise.h"
#include "kernel_gradient.h"
#include "pool.h"

namespace ablax {
namespace {

namespace ffi = xla::ffi;
using Pair = ffi::Span<const int64_t>;
using In = ffi::Buffer<ffi::F32, 4>;
using Out = ffi::ResultBuffer<ffi::F32, 4>;
using Shape = In::Dimensions;

Maps maps(const Shape& shape) { return {shape[0], shape[1], shape[2], shape[3]}; }

Window window(const Shape& kernel, Pair stride, Pair padding, Pair dilation, int axis) {
  return {kernel[axis], stride[axis], padding[axis], dilation[axis]};
}

Weights weights(const float* kernel, const Shape& shape, int64_t channels, bool exchanged) {
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

ffi::Error value(ffi::ThreadPool pool, In x, In kernel, Out y, Pair stride, Pair padding, Pair dilation) {
  const Maps from = maps(x.dimensions()), to = maps(y->dimensions());
  const Shape shape = kernel.dimensions();
  if (!fit(from, shape, to, stride, padding, dilation)) return misfit();
  const Axis rows = along(window(shape, stride, padding, dilation, 0), to.height);
  const Axis columns = along(window(shape, stride, padding, dilation, 1), to.width);
  if (depthwise(shape, from.channels))
    slide_channels(pool, x.typed_data(), from, y->typed_data(), to, kernel.typed_data(), shape[1], rows,
                   columns);
  else
    slide(pool, x.typed_data(), from, y->typed_data(), to,
          weights(kernel.typed_data(), shape, from.channels, false), rows, columns);
  return ffi::Error::Success();
}

ffi::Error image_gradient(ffi::ThreadPool pool, In gradient, In kernel, Out x, Pair stride, Pair padding,
                          Pair dilation) {
  const Maps from = maps(gradient.dimensions()), to = maps(x->dimensions());
  const Shape shape = kernel.dimensions();
  if (!fit(to, shape, from, stride, padding, dilation)) return misfit();
  const auto down = back_along(window(shape, stride, padding, dilation, 0), to.height);
  const auto across = back_along(window(shape, stride, padding, dilation, 1), to.width);
  const auto unseen = [](const Axis& phase) { return phase.taps.empty(); };
  if (std::any_of(down.begin(), down.end(), unseen) || std::any_of(across.begin(), across.end(), unseen))
    std::memset(x->typed_data(), 0, x->size_bytes());
  for (const Axis& rows : down)
    for (const Axis& columns : across) {
      if (unseen(rows) || unseen(columns)) continue;
      if (depthwise(shape, to.channels))
        slide_channels(pool, gradient.typed_data(), from, x->typed_data(), to, kernel.typed_data(), shape[1],
                       rows, columns);
      else
        slide(pool, gradient.typed_data(), from, x->typed_data(), to,
              weights(kernel.typed_data(), shape, to.channels, true), rows, columns);
    }
  return ffi::Error::Success();
}

ffi::Error kernel_gradient_of(ffi::ThreadPool pool, In x, In gradient, Out kernel, Pair stride, Pair padding,
                              Pair dilation) {
  const Maps from = maps(x.dimensions()), to = maps(gradient.dimensions());
  const Shape shape = kernel->dimensions();
  if (!fit(from, shape, to, stride, padding, dilation)) return misfit();
  const Axis rows = along(window(shape, stride, padding, dilation, 0), to.height);
  const Axis columns = along(window(shape, stride, padding, dilation, 1), to.width);
  if (depthwise(shape, from.channels))
    channels_kernel_gradient(pool, x.typed_data(), from, gradient.typed_data(), to, kernel->typed_data(), rows,
                             columns);
  else
    kernel_gradient(pool, x.typed_data(), from, gradient.typed_data(), to, kernel->typed_data(),
                    from.channels / shape[2], rows, columns);
  return ffi::Error::Success();
}

using Bytes4 = ffi::Buffer<ffi::U8, 4>;

Window pool_window(Pair size, Pair stride, Pair padding, int axis) {
  return {size[axis], stride[axis], padding[axis], 1};
}

ffi::Error maximum(ffi::ThreadPool pool, In x, Out y, ffi::Result<Bytes4> taken, Pair size, Pair stride,
                   Pair padding) {
  const Maps from = maps(x.dimensions()), to = maps(y->dimensions());
  if (!fit(from, maps(taken->dimensions()), to, size, stride, padding)) return misfit();
  first_maximum(pool, x.typed_data(), from, y->typed_data(), taken->typed_data(), to,
                along(pool_window(size, stride, padding, 0), to.height),
                along(pool_window(size, stride, padding, 1), to.width));
  return ffi::Error::Success();
}

ffi::Error taken_tangent(ffi::ThreadPool pool, In tangent, Bytes4 taken, Out y, Pair size, Pair stride,
                         Pair padding) {
  const Maps from = maps(tangent.dimensions()), to = maps(y->dimensions());
  if (!fit(from, maps(taken.dimensions()), to, size, stride, padding)) return misfit();
  sum_of_taken<false>(pool, tangent.typed_data(), taken.typed_data(), from, y->typed_data(), to,
                      size[1], along(pool_window(size, stride, padding, 0), to.height),
                      along(pool_window(size, stride, padding, 1), to.width));
  return ffi::Error::Success();
}

ffi::Error taken_gradient(ffi::ThreadPool pool, In gradient, Bytes4 taken, Out x, Pair size, Pair stride,
                          Pair padding) {
  const Maps from = maps(gradient.dimensions()), to = maps(x->dimensions());
  if (!fit(to, maps(taken.dimensions()), from, size, stride, padding)) return misfit();
  for (const Axis& rows : back_along(pool_window(size, stride, padding, 0), to.height))
    for (const Axis& columns : back_along(pool_window(size, stride, padding, 1), to.width))
      sum_of_taken<true>(pool, gradient.typed_data(), taken.typed_data(), from, x->typed_data(), to, size[1],
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

auto maximum_signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<In>()
      .Ret<ffi::Buffer<ffi::F32, 4>>()
      .Ret<Bytes4>()
      .Attr<Pair>("window")
      .Attr<Pair>("stride")
      .Attr<Pair>("padding");
}

auto taken_signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<In>()
      .Arg<Bytes4>()
      .Ret<ffi::Buffer<ffi::F32, 4>>()
      .Attr<Pair>("window")
      .Attr<Pair>("stride")
      .Attr<Pair>("padding");
}

auto signature() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<In>()
      .Arg<In>()
      .Ret<ffi::Buffer<ffi::F32, 4>>()
      .Attr<Pair>("stride")
      .Attr<Pair>("padding")
      .Attr<Pair>("dilation");
}

}  // namespace
}  // namespace ablax

XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_convolution, ablax::Told<ablax::value>::call, ablax::signature());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_image_gradient, ablax::Told<ablax::image_gradient>::call, ablax::signature());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_kernel_gradient, ablax::Told<ablax::kernel_gradient_of>::call, ablax::signature());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_maximum, ablax::Told<ablax::maximum>::call, ablax::maximum_signature());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_taken_tangent, ablax::Told<ablax::taken_tangent>::call, ablax::taken_signature());
XLA_FFI_DEFINE_HANDLER_SYMBOL(ablax_taken_gradient, ablax::Told<ablax::taken_gradient>::call, ablax::taken_signature());
