// What XLA calls, for float32 and for bfloat16, whose sums are of float32.
//
// A convolution in any number of groups, and its two transposes, by oneDNN:
//
//   value            y[n, r, c, f] = sum over a, b, i of x[n, S r + D a - P, S c + D b - P, i] k[a, b, i, f]
//   image gradient   x' from y' and k
//   kernel gradient  k' from x and y'
//
// Each is linear in both of its arguments. Padding is that before the first row and column.
//
// The maximum of each window with the tap it took, and what goes forward and back through that choice.
#include <cmath>
#include <new>
#include <string>
#include <utility>

#include "convolution.h"
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

// oneDNN counts in 32 bits.
constexpr int64_t MOST = 1 << 30, FARTHEST = 1 << 14;

bool near(Pair pair, int64_t least) {
  return pair.size() == 2 && std::min(pair[0], pair[1]) >= least && std::max(pair[0], pair[1]) <= FARTHEST;
}

int64_t size(const Maps& maps) { return maps.images * maps.height * maps.width * maps.channels; }

// Whether one of so many places, a stride apart from the first on, lies in 0 ... length - 1.
bool sees(int64_t first, int64_t stride, int64_t places, int64_t length) {
  if (first >= 0) return first < length;
  const int64_t steps = (-first + stride - 1) / stride;
  return steps < places && first + steps * stride < length;
}

// oneDNN fails at windows of which a tap sees nothing but padding.
bool fit(const Geometry& geometry, const Shape& kernel) {
  const Maps &images = geometry.images, &results = geometry.results;
  if (images.images != results.images || images.channels % kernel[2] || results.channels != kernel[3]) return false;
  if (results.channels % (images.channels / kernel[2])) return false;
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t length = axis ? images.width : images.height, places = axis ? results.width : results.height;
    const int64_t room = length + geometry.before[axis] + geometry.after(axis) -
                         geometry.dilation[axis] * (geometry.taps[axis] - 1) - 1;
    if (room < 0 || room / geometry.stride[axis] + 1 != places) return false;
    for (int64_t tap = 0; tap < geometry.taps[axis]; ++tap)
      if (!sees(geometry.dilation[axis] * tap - geometry.before[axis], geometry.stride[axis], places, length))
        return false;
  }
  return true;
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

template <ffi::DataType TYPE>
constexpr Numbers NUMBERS = TYPE == ffi::F32 ? Numbers::f32 : Numbers::bf16;

template <ffi::DataType TYPE>
ffi::Error convolve(Sought sought, ffi::ThreadPool& pool, const Shape& images, const void* x, const Shape& shape,
                    const void* kernel, const Shape& results, const void* y, Pair stride, Pair padding,
                    Pair dilation) {
  const Maps from = maps(images), to = maps(results), weights = maps(shape);
  if (!some(from) || !some(to) || !some(weights) || !near(stride, 1) || !near(padding, 0) || !near(dilation, 1))
    return misfit();
  // Where a feature sees one channel, oneDNN is slow with bfloat16.
  if (TYPE == ffi::BF16 && shape[2] == 1) return misfit();
  if (std::max({size(from), size(to), size(weights)}) > MOST) return misfit();
  const Geometry geometry{from, to, {shape[0], shape[1]}, shape[2], {stride[0], stride[1]},
                          {padding[0], padding[1]}, {dilation[0], dilation[1]}};
  if (!fit(geometry, shape)) return misfit();
  (*plan(sought, NUMBERS<TYPE>, geometry, pool.num_threads()))(pool, x, const_cast<void*>(kernel), y);
  return ffi::Error::Success();
}

template <ffi::DataType TYPE>
ffi::Error value(ffi::ThreadPool pool, In<TYPE> x, In<TYPE> kernel, Out<TYPE> y, Pair stride, Pair padding,
                 Pair dilation) {
  return convolve<TYPE>(Sought::value, pool, x.dimensions(), x.untyped_data(), kernel.dimensions(),
                        kernel.untyped_data(), y->dimensions(), y->untyped_data(), stride, padding, dilation);
}

template <ffi::DataType TYPE>
ffi::Error image_gradient(ffi::ThreadPool pool, In<TYPE> y, In<TYPE> kernel, Out<TYPE> x, Pair stride, Pair padding,
                          Pair dilation) {
  return convolve<TYPE>(Sought::image_gradient, pool, x->dimensions(), x->untyped_data(), kernel.dimensions(),
                        kernel.untyped_data(), y.dimensions(), y.untyped_data(), stride, padding, dilation);
}

template <ffi::DataType TYPE>
ffi::Error kernel_gradient(ffi::ThreadPool pool, In<TYPE> x, In<TYPE> y, Out<TYPE> kernel, Pair stride, Pair padding,
                           Pair dilation) {
  return convolve<TYPE>(Sought::kernel_gradient, pool, x.dimensions(), x.untyped_data(), kernel->dimensions(),
                        kernel->untyped_data(), y.dimensions(), y.untyped_data(), stride, padding, dilation);
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
  static ffi::Error short_of_memory() {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "ablax: there is not enough memory for this");
  }
  static ffi::Error call(Arguments... arguments) {
    try {
      return HANDLER(arguments...);
    } catch (const std::bad_alloc&) {
      return short_of_memory();
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_out_of_memory) return short_of_memory();
      return ffi::Error::Internal(std::string("ablax: oneDNN: ") + error.what());
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

// With which instructions oneDNN computes here.
extern "C" const char* ablax_instructions() {
  using Isa = dnnl::cpu_isa;
  const auto level = static_cast<int>(dnnl::get_effective_cpu_isa());
  for (const auto& [isa, name] : {std::pair(Isa::avx512_core_amx, "AMX"), {Isa::avx512_core_bf16, "AVX-512 BF16"},
                                  {Isa::avx512_core, "AVX-512"}, {Isa::avx2, "AVX2"}, {Isa::avx, "AVX"}})
    if ((level & static_cast<int>(isa)) == static_cast<int>(isa)) return name;
  return "SSE";
}

#define ABLAX_HANDLER(NAME, FUNCTION, SIGNATURE)                                                   \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(NAME##_float32, ablax::Told<ablax::FUNCTION<xla::ffi::F32>>::call, \
                                ablax::SIGNATURE<xla::ffi::F32>());                                \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(NAME##_bfloat16, ablax::Told<ablax::FUNCTION<xla::ffi::BF16>>::call, \
                                ablax::SIGNATURE<xla::ffi::BF16>())

ABLAX_HANDLER(ablax_convolution, value, signature);
ABLAX_HANDLER(ablax_image_gradient, image_gradient, signature);
ABLAX_HANDLER(ablax_kernel_gradient, kernel_gradient, signature);
ABLAX_HANDLER(ablax_maximum, maximum, maximum_signature);
ABLAX_HANDLER(ablax_taken_tangent, taken_tangent, taken_signature);
ABLAX_HANDLER(ablax_taken_gradient, taken_gradient, taken_signature);
