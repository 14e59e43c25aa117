// What XLA calls, called as XLA does, on random geometries, each compared with plain sums.
//
// Built with a sanitizer by `sanitize.py`. Each array lies between two pages that nobody may touch, once
// at the beginning and once at the end of what is between them; what it leaves of that is watched for
// writes, and arguments may not be written. Each call has threads, and so working memory, of its own.
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>

#include "handlers.cpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
extern "C" const char* __asan_default_options() {
  // Memory that was never written holds NaNs. Threads that end are no leaks.
  return "max_malloc_fill_size=1073741824:malloc_fill_byte=255:detect_leaks=0";
}
#else
#define ASAN_POISON_MEMORY_REGION(address, size)
#define ASAN_UNPOISON_MEMORY_REGION(address, size)
#endif

struct XLA_FFI_Error {
  std::string message;
};

namespace {

std::string about;  // the call that is running

void say_about() { std::fprintf(stderr, "%s\n", about.c_str()); }

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", about.c_str(), what.c_str());
  std::exit(1);
}

// --- arrays

using Dims = std::vector<int64_t>;

int64_t numbers(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<int64_t>());
}

int64_t width(XLA_FFI_DataType type) {
  return type == XLA_FFI_DataType_F32 ? 4 : type == XLA_FFI_DataType_BF16 ? 2 : 1;
}

float number_at(XLA_FFI_DataType type, const unsigned char* from, int64_t at) {
  if (type == XLA_FFI_DataType_BF16) return ablax::number(reinterpret_cast<const ablax::bfloat16*>(from)[at]);
  float number;
  std::memcpy(&number, from + 4 * at, sizeof number);
  return number;
}

enum class Edge { begin, end };
constexpr unsigned char CANARY = 0xA5;

class Array {
 public:
  Array(XLA_FFI_DataType type, Dims dims, Edge edge)
      : type(type), dims(dims), size_(numbers(dims) * width(type)) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    room_ = (std::max<int64_t>(size_, 1) + page - 1) / page * page;
    whole_ = room_ + 2 * page;
    auto* pages = static_cast<unsigned char*>(
        mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages == MAP_FAILED) fail("no memory for an array");
    between_ = pages + page;
    mprotect(pages, page, PROT_NONE);
    mprotect(between_ + room_, page, PROT_NONE);
    data = between_ + (edge == Edge::end ? room_ - size_ : 0);
    std::memset(between_, CANARY, room_);
    ASAN_POISON_MEMORY_REGION(between_, bytes() - between_);
    ASAN_POISON_MEMORY_REGION(bytes() + size_, between_ + room_ - bytes() - size_);
  }
  Array(const Array&) = delete;
  ~Array() {
    ASAN_UNPOISON_MEMORY_REGION(between_, room_);
    munmap(between_ - sysconf(_SC_PAGESIZE), whole_);
  }

  unsigned char* bytes() const { return static_cast<unsigned char*>(data); }
  std::vector<float> floats() const {
    std::vector<float> all;
    for (int64_t at = 0; at < size(); ++at) all.push_back(number_at(type, bytes(), at));
    return all;
  }
  void put(int64_t at, float number) {
    if (type == XLA_FFI_DataType_BF16)
      ablax::set(static_cast<ablax::bfloat16*>(data)[at], number);
    else
      static_cast<float*>(data)[at] = number;
  }
  int64_t size() const { return numbers(dims); }
  void keep() { mprotect(between_, room_, PROT_READ); }

  // Nothing was written beside it.
  void check() const {
    ASAN_UNPOISON_MEMORY_REGION(between_, room_);
    for (unsigned char* byte = between_; byte < between_ + room_; ++byte)
      if ((byte < bytes() || byte >= bytes() + size_) && *byte != CANARY) fail("a write beside a result");
  }

  const XLA_FFI_DataType type;
  Dims dims;
  void* data;

 private:
  int64_t size_, room_, whole_;
  unsigned char* between_;
};

// --- XLA's side of a call

std::vector<std::thread> helpers;
std::mutex helpers_change;

XLA_FFI_Error* create(XLA_FFI_Error_Create_Args* args) { return new XLA_FFI_Error{args->message}; }
void destroy(XLA_FFI_Error_Destroy_Args* args) { delete args->error; }
void details(XLA_FFI_Error_GetDetails_Args* args) { args->message = args->error->message.c_str(); }
XLA_FFI_Error* schedule(XLA_FFI_ThreadPool_Schedule_Args* args) {
  const std::lock_guard<std::mutex> lock(helpers_change);
  helpers.emplace_back(args->task, args->data);
  return nullptr;
}
XLA_FFI_Error* number_of_threads(XLA_FFI_ThreadPool_NumThreads_Args* args) {
  *args->num_threads = 3;
  return nullptr;
}

struct Attribute {
  std::string name;
  Dims numbers;
};

// What the handler says: its error, or nothing; the bytes of each result as they are when it returns.
std::string call(XLA_FFI_Handler* handler, const std::vector<Array*>& arguments,
                 const std::vector<Array*>& results, std::vector<Attribute> attributes,
                 std::vector<std::vector<unsigned char>>* found) {
  XLA_FFI_Api api = {};
  api.struct_size = XLA_FFI_Api_STRUCT_SIZE;
  api.XLA_FFI_Error_Create = create;
  api.XLA_FFI_Error_Destroy = destroy;
  api.XLA_FFI_Error_GetDetails = details;
  api.XLA_FFI_ThreadPool_Schedule = schedule;
  api.XLA_FFI_ThreadPool_NumThreads = number_of_threads;

  std::vector<XLA_FFI_Buffer> buffers;
  std::vector<void*> places, attribute_places;
  for (const auto& arrays : {arguments, results})
    for (Array* each : arrays)
      buffers.push_back({XLA_FFI_Buffer_STRUCT_SIZE, nullptr, each->type, each->data,
                         static_cast<int64_t>(each->dims.size()), each->dims.data()});
  for (XLA_FFI_Buffer& each : buffers) places.push_back(&each);
  std::vector<XLA_FFI_ArgType> argument_types(arguments.size(), XLA_FFI_ArgType_BUFFER);
  std::vector<XLA_FFI_RetType> result_types(results.size(), XLA_FFI_RetType_BUFFER);
  std::vector<XLA_FFI_AttrType> attribute_types(attributes.size(), XLA_FFI_AttrType_ARRAY);
  std::vector<XLA_FFI_ByteSpan> names;
  std::vector<XLA_FFI_ByteSpan*> name_places;
  std::vector<XLA_FFI_Array> values;
  for (Attribute& each : attributes) {
    names.push_back({each.name.data(), each.name.size()});
    values.push_back({XLA_FFI_DataType_S64, each.numbers.size(), each.numbers.data()});
  }
  for (XLA_FFI_ByteSpan& each : names) name_places.push_back(&each);
  for (XLA_FFI_Array& each : values) attribute_places.push_back(&each);

  XLA_FFI_CallFrame frame = {};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = &api;
  frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  frame.args = {XLA_FFI_Args_STRUCT_SIZE, nullptr, static_cast<int64_t>(arguments.size()),
                argument_types.data(), places.data()};
  frame.rets = {XLA_FFI_Rets_STRUCT_SIZE, nullptr, static_cast<int64_t>(results.size()),
                result_types.data(), places.data() + arguments.size()};
  frame.attrs = {XLA_FFI_Attrs_STRUCT_SIZE, nullptr, static_cast<int64_t>(attributes.size()),
                 attribute_types.data(), name_places.data(), attribute_places.data()};

  std::string refusal;
  std::thread caller([&] {
    XLA_FFI_Error* error = handler(&frame);
    refusal = error ? error->message : "";
    delete error;
    // Read before the helpers have ended: only what the handler itself waited for may be relied on.
    for (Array* each : results) found->emplace_back(each->bytes(), each->bytes() + each->size() * width(each->type));
  });
  caller.join();
  for (std::thread& helper : helpers) helper.join();
  helpers.clear();
  for (const auto& arrays : {arguments, results})
    for (Array* each : arrays) each->check();
  return refusal;
}

// --- what is computed, plainly

struct Geometry {
  Dims x, kernel, y;  // NHWC, HWIO, NHWC; of a pool the kernel is (h w)
  Dims stride, padding, dilation;

  // Calls use(place in x, tap, image, row, column) for all that windows see inside the images.
  template <typename Use>
  void each_tap(const Use& use) const {
    for (int64_t image = 0; image < y[0]; ++image)
      for (int64_t row = 0; row < y[1]; ++row)
        for (int64_t column = 0; column < y[2]; ++column)
          for (int64_t a = 0; a < kernel[0]; ++a)
            for (int64_t b = 0; b < kernel[1]; ++b) {
              const int64_t down = row * stride[0] + a * dilation[0] - padding[0];
              const int64_t across = column * stride[1] + b * dilation[1] - padding[1];
              if (down < 0 || down >= x[1] || across < 0 || across >= x[2]) continue;
              use(((image * x[1] + down) * x[2] + across) * x[3], a * kernel[1] + b,
                  ((image * y[1] + row) * y[2] + column) * y[3]);
            }
  }

  std::string text() const {
    std::string all;
    for (const Dims* dims : {&x, &kernel, &y, &stride, &padding, &dilation}) {
      all += all.empty() ? "" : " ";
      for (size_t at = 0; at < dims->size(); ++at) all += (at ? "," : "") + std::to_string((*dims)[at]);
    }
    return all;
  }
};

// The sum of products of any two of images, kernel and results, for the third; and the sum of their sizes.
struct Sums {
  std::vector<double> of, size;
  explicit Sums(int64_t count) : of(count), size(count) {}
  void add(int64_t at, double product) {
    of[at] += product;
    size[at] += std::abs(product);
  }
};

Sums convolved(const Geometry& g, int wanted, const std::vector<float>& first, const std::vector<float>& second) {
  const int64_t groups = g.x[3] / g.kernel[2], own = g.kernel[3] / groups;
  Sums sums(numbers(wanted == 0 ? g.y : wanted == 1 ? g.x : g.kernel));
  g.each_tap([&](int64_t x, int64_t tap, int64_t y) {
    for (int64_t input = 0; input < g.kernel[2]; ++input)
      for (int64_t feature = 0; feature < g.kernel[3]; ++feature) {
        const int64_t from = x + feature / own * g.kernel[2] + input, to = y + feature;
        const int64_t weight = (tap * g.kernel[2] + input) * g.kernel[3] + feature;
        if (wanted == 0) sums.add(to, double(first[from]) * second[weight]);
        if (wanted == 1) sums.add(from, double(first[to]) * second[weight]);
        if (wanted == 2) sums.add(weight, double(first[from]) * second[to]);
      }
  });
  return sums;
}

void compare(const Sums& expected, XLA_FFI_DataType type, const unsigned char* found) {
  const double rounding = type == XLA_FFI_DataType_BF16 ? 1.0 / 256 : 0;
  for (size_t at = 0; at < expected.of.size(); ++at) {
    const float number = number_at(type, found, at);
    const double most = rounding * std::abs(expected.of[at]) + 1e-5 * expected.size[at] + 1e-30;
    if (!(std::abs(number - expected.of[at]) <= most))
      fail("number " + std::to_string(at) + " is " + std::to_string(number) + ", expected " +
           std::to_string(expected.of[at]));
  }
}

// --- random geometries

std::mt19937_64 source;

int64_t between(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(source);
}
template <typename... Numbers>
int64_t one_of(Numbers... given) {
  const std::array<int64_t, sizeof...(given)> all = {given...};
  return all[between(0, all.size() - 1)];
}
bool rarely() { return between(0, 7) == 0; }

void fill(Array& array, bool ties = false) {
  for (int64_t at = 0; at < array.size(); ++at)
    if (array.type == XLA_FFI_DataType_U8)
      array.bytes()[at] = between(0, 9);
    else
      array.put(at, ties ? between(-2, 2) : std::normal_distribution<float>()(source));
}

// Where windows lie; sometimes more results than there is room for or, of pools, fewer.
void place(Geometry& g, bool dilated) {
  const int64_t room = rarely() ? 40 : 9;
  g.x = {between(1, 3), between(1, room), between(1, room), 0};
  g.y = {g.x[0], 0, 0, 0};
  g.kernel = {between(1, 4), between(1, 4)};
  for (int axis = 0; axis < 2; ++axis) {
    g.stride.push_back(one_of(1, 1, 1, 2, 3, 5));
    g.dilation.push_back(dilated ? one_of(1, 1, 1, 2, 4) : 1);
    g.padding.push_back(one_of(0, 0, 1, 2, 3, 7, dilated ? 0 : -1));
    const int64_t window = (g.kernel[axis] - 1) * g.dilation[axis] + 1;
    const int64_t fit = (g.x[1 + axis] + 2 * g.padding[axis] - window) / g.stride[axis] + 1;
    const int64_t inside = (g.x[1 + axis] + g.padding[axis] - window) / g.stride[axis] + 1;
    g.y[1 + axis] = std::clamp<int64_t>(rarely() ? between(1, 9) : fit, dilated ? std::max<int64_t>(inside, 1) : 1, 60);
  }
}

// Whether every tap sees some pixel, as it has to where oneDNN is called.
bool all_see(const Geometry& g) {
  for (int axis = 0; axis < 2; ++axis)
    for (int64_t tap = 0; tap < g.kernel[axis]; ++tap) {
      bool sees = false;
      for (int64_t place = 0; place < g.y[1 + axis]; ++place) {
        const int64_t at = place * g.stride[axis] + tap * g.dilation[axis] - g.padding[axis];
        sees |= at >= 0 && at < g.x[1 + axis];
      }
      if (!sees) return false;
    }
  return true;
}

Geometry any_convolution() {
  Geometry g;
  place(g, true);
  const int kind = between(0, 5);
  const int64_t most = rarely() ? 70 : 20;
  int64_t groups = 1, inputs = between(1, most), own = between(1, most);
  if (kind == 1) groups = between(2, 9), inputs = between(1, 9), own = between(1, 35);
  if (kind == 2) groups = between(1, 70), inputs = 1, own = 1;
  if (kind == 3) groups = between(2, 40), inputs = 1, own = between(2, 5);
  if (kind == 4) groups = between(1, 3), inputs = between(1, 5), own = between(15, 34);
  if (kind == 5 && rarely()) inputs = 130, own = one_of(128, 136), g.kernel[0] = g.kernel[1] = 3;
  g.x[3] = groups * inputs;
  g.kernel.insert(g.kernel.end(), {inputs, groups * own});
  g.y[3] = groups * own;
  // The plain sums take a while.
  while (g.y[0] * g.y[1] * g.y[2] * numbers(g.kernel) > 2000000) {
    int64_t& largest = *std::max_element(g.y.begin(), g.y.begin() + 3);
    if (largest == 1) break;
    largest /= 2;
    g.x[0] = g.y[0];
    for (int axis = 0; axis < 2; ++axis) {  // no more of the image than windows reach
      const int64_t window = (g.kernel[axis] - 1) * g.dilation[axis] + 1;
      const int64_t reach = (g.y[1 + axis] - 1) * g.stride[axis] + window - g.padding[axis];
      g.x[1 + axis] = std::clamp<int64_t>(g.x[1 + axis], 1, std::max<int64_t>(reach, 1));
    }
  }
  return g;
}

Geometry random_convolution() {
  for (;;)
    if (const Geometry g = any_convolution(); all_see(g)) return g;
}

Geometry random_pool() {
  Geometry g;
  place(g, false);
  g.x[3] = g.y[3] = rarely() ? between(30, 70) : between(1, 20);
  return g;
}

// --- the calls

constexpr auto F32 = XLA_FFI_DataType_F32;
constexpr auto BF16 = XLA_FFI_DataType_BF16;
constexpr auto U8 = XLA_FFI_DataType_U8;
using Shapes = std::vector<std::pair<XLA_FFI_DataType, Dims>>;

struct Operation {
  const char* name;
  XLA_FFI_Handler *floats, *halves;
  bool pool;
  Shapes (*shapes)(const Geometry&);  // of the arguments, then of the results, with float32
  size_t arguments;
};

const Operation OPERATIONS[] = {
    {"convolution", ablax_convolution_float32, ablax_convolution_bfloat16, false,
     [](const Geometry& g) { return Shapes{{F32, g.x}, {F32, g.kernel}, {F32, g.y}}; }, 2},
    {"image gradient", ablax_image_gradient_float32, ablax_image_gradient_bfloat16, false,
     [](const Geometry& g) { return Shapes{{F32, g.y}, {F32, g.kernel}, {F32, g.x}}; }, 2},
    {"kernel gradient", ablax_kernel_gradient_float32, ablax_kernel_gradient_bfloat16, false,
     [](const Geometry& g) { return Shapes{{F32, g.x}, {F32, g.y}, {F32, g.kernel}}; }, 2},
    {"maximum", ablax_maximum_float32, ablax_maximum_bfloat16, true,
     [](const Geometry& g) { return Shapes{{F32, g.x}, {F32, g.y}, {U8, g.y}}; }, 1},
    {"tangent of the maximum", ablax_taken_tangent_float32, ablax_taken_tangent_bfloat16, true,
     [](const Geometry& g) { return Shapes{{F32, g.x}, {U8, g.y}, {F32, g.y}}; }, 2},
    {"gradient of the maximum", ablax_taken_gradient_float32, ablax_taken_gradient_bfloat16, true,
     [](const Geometry& g) { return Shapes{{F32, g.y}, {U8, g.y}, {F32, g.x}}; }, 2},
};
enum { CONVOLUTION, IMAGE_GRADIENT, KERNEL_GRADIENT, MAXIMUM, TAKEN_TANGENT, TAKEN_GRADIENT };

// An operation on numbers of one type.
struct Kind {
  const Operation& operation;
  XLA_FFI_DataType type;

  int64_t which() const { return &operation - OPERATIONS; }
  XLA_FFI_Handler* handler() const { return type == F32 ? operation.floats : operation.halves; }
  Shapes shapes(const Geometry& g) const {
    Shapes all = operation.shapes(g);
    for (auto& each : all)
      if (each.first == F32) each.first = type;
    return all;
  }
};

using Bytes = std::vector<unsigned char>;

// The largest number of each window and its first tap; a NaN is larger than any number.
void compare_maximum(const Geometry& g, XLA_FFI_DataType type, const std::vector<float>& x,
                     const std::vector<Bytes>& found) {
  std::vector<float> best(numbers(g.y), -INFINITY);
  std::vector<unsigned char> taken(best.size());
  g.each_tap([&](int64_t from, int64_t tap, int64_t to) {
    for (int64_t channel = 0; channel < g.x[3]; ++channel) {
      const float next = x[from + channel], now = best[to + channel];
      if (std::isnan(now) || !(std::isnan(next) || next > now)) continue;
      best[to + channel] = next;
      taken[to + channel] = tap;
    }
  });
  if (taken != found[1]) fail("another tap was taken");
  for (size_t at = 0; at < best.size(); ++at) {
    const float number = number_at(type, found[0].data(), at);
    if (number != best[at] && !(std::isnan(number) && std::isnan(best[at]))) fail("another maximum");
  }
}

Sums sum_of_taken(const Geometry& g, bool back, const std::vector<float>& from, const unsigned char* taken) {
  Sums sums(numbers(back ? g.x : g.y));
  g.each_tap([&](int64_t x, int64_t tap, int64_t y) {
    for (int64_t channel = 0; channel < g.x[3]; ++channel)
      if (taken[y + channel] == tap) sums.add((back ? x : y) + channel, from[(back ? y : x) + channel]);
  });
  return sums;
}

struct Call {
  Call(const Kind& kind, const Shapes& shapes, Edge edge, bool ties) : kind(kind) {
    for (const auto& [type, dims] : shapes) arrays.push_back(std::make_unique<Array>(type, dims, edge));
    for (size_t at = 0; at < arrays.size(); ++at) {
      const bool argument = at < kind.operation.arguments;
      (argument ? arguments : results).push_back(arrays[at].get());
      if (!argument) continue;
      fill(*arrays[at], ties);
      if (ties && rarely() && arrays[at]->type != U8)
        arrays[at]->put(between(0, arrays[at]->size() - 1), one_of(0, 1) ? NAN : -INFINITY);
      arrays[at]->keep();
    }
  }
  std::string make(const std::vector<Attribute>& attributes) {
    return call(kind.handler(), arguments, results, attributes, &found);
  }

  const Kind& kind;
  std::vector<std::unique_ptr<Array>> arrays;
  std::vector<Array*> arguments, results;
  std::vector<Bytes> found;
};

std::vector<Attribute> told(const Geometry& g, bool pool) {
  if (pool) return {{"padding", g.padding}, {"stride", g.stride}, {"window", g.kernel}};
  return {{"dilation", g.dilation}, {"padding", g.padding}, {"stride", g.stride}};
}

void right(const Kind& kind, const Geometry& g, Edge edge) {
  Call call(kind, kind.shapes(g), edge, kind.which() == MAXIMUM);
  const std::string refusal = call.make(told(g, kind.operation.pool));
  if (!refusal.empty()) fail("was refused: " + refusal);
  const std::vector<float> first = call.arguments[0]->floats();
  if (kind.which() == MAXIMUM) return compare_maximum(g, kind.type, first, call.found);
  const Sums expected = kind.operation.pool ? sum_of_taken(g, kind.which() == TAKEN_GRADIENT, first,
                                                           call.arguments[1]->bytes())
                                            : convolved(g, kind.which(), first, call.arguments[1]->floats());
  compare(expected, kind.type, call.found[0].data());
}

// One thing that is wrong. Returns whether it has to be refused; otherwise it has to do no harm.
bool spoil(const Kind& kind, const Geometry& g, Shapes& shapes, std::vector<Attribute>& attributes) {
  const int64_t huge = int64_t{1} << 62;
  auto& [type, dims] = shapes[between(0, shapes.size() - 1)];
  auto& [name, told] = attributes[between(0, attributes.size() - 1)];
  int64_t& number = told[between(0, 1)];
  switch (between(0, 6)) {
    case 0: dims[between(0, 3)] = 0; return true;
    case 1: ++shapes.back().second[kind.which() == KERNEL_GRADIENT ? 3 : 0]; return true;
    case 2: dims.pop_back(); return true;
    case 3: type = type == U8 ? F32 : one_of(0, 1) ? U8 : type == F32 ? BF16 : F32; return true;
    case 4: told.resize(one_of(0, 1, 3), 1); return true;
    case 5: number = name == "padding" ? one_of(huge, -huge) : one_of(0, -1, -huge); return true;
    default:
      if (!kind.operation.pool && between(0, 1)) {  // a kernel for more channels than there are
        for (auto& shape : shapes)
          if (shape.second == g.kernel) shape.second[2] = g.x[3] + 1;
        return g.kernel != g.x && g.kernel != g.y;
      }
      number = one_of(huge, 4096, 100);
      return false;
  }
}

void wrong(const Kind& kind, const Geometry& g, Edge edge) {
  Shapes shapes = kind.shapes(g);
  std::vector<Attribute> attributes = told(g, kind.operation.pool);
  const bool refused = spoil(kind, g, shapes, attributes);
  about += "; spoiled:";
  for (const auto& shape : shapes) {
    about += " (";
    for (int64_t each : shape.second) about += std::to_string(each) + " ";
    about += ")";
  }
  for (const auto& each : attributes) {
    about += " " + each.name;
    for (int64_t number : each.numbers) about += " " + std::to_string(number);
  }
  if (Call(kind, shapes, edge, false).make(attributes).empty() && refused) fail("was not refused");
}

// bfloat16 is there where something multiplies it.
std::vector<XLA_FFI_DataType> types_here() {
  const std::string instructions = ablax_instructions();
  const bool halves = instructions == "AMX" || instructions == "AVX-512 BF16";
  return halves ? std::vector{F32, BF16} : std::vector{F32};
}

}  // namespace

// sanitize COUNT [SEED]: so many geometries of convolutions and of pools, and a wrong call of each operation.
int main(int count, char** given) {
  __sanitizer_set_death_callback(say_about);
  const int64_t geometries = count > 1 ? std::atoll(given[1]) : 1000;
  const int64_t seed = count > 2 ? std::atoll(given[2]) : 0;
  const std::vector<XLA_FFI_DataType> types = types_here();
  for (int64_t number = 0; number < geometries; ++number) {
    source.seed(seed + number);
    const Geometry both[] = {random_convolution(), random_pool()};
    for (const Operation& operation : OPERATIONS)
      for (XLA_FFI_DataType type : types)
        for (Edge edge : {Edge::begin, Edge::end})
          for (auto& run : {right, wrong}) {
            const Geometry& g = both[operation.pool];
            if (!operation.pool && type == BF16 && g.kernel[2] == 1) continue;  // float32 is called instead
            about = "seed " + std::to_string(seed + number) + ", " + operation.name +
                    (type == BF16 ? ", bfloat16" : "") + " of " + g.text();
            run({operation, type}, g, edge);
          }
  }
  std::printf("%lld geometries of each of %zu operations with %d lanes%s\n", static_cast<long long>(geometries),
              std::size(OPERATIONS), ablax::LANES, types.back() == BF16 ? ", bfloat16 too" : "");
}
