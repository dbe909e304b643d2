#include "cuda/pool/pool2d.h"

#include <limits>
#include <string>

#include "cuda/common/launch.h"
#include "cuda/pool/pooling.h"

namespace ninc::cuda {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

// A stride beyond the picture means the same as any other there.
PoolAxis Axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(value); };
  return {narrow(in), narrow(out), narrow(kernel), narrow(std::min(stride, in + 2 * padding + 1)),
          narrow(padding)};
}

// InvalidShape where positions within one picture leave 32 bits.
Status CheckPictures(const Pool2dProblem& problem) {
  const Shape in = problem.input, out = problem.output();
  const int64_t values = std::max(in.h * in.w * in.c, out.h * out.w * out.c);
  const int64_t reach = std::max(problem.kernel_h, problem.kernel_w) + std::max(in.h, in.w) * 2;
  if (values <= kLargest && reach <= kLargest) return {};
  return InvalidShape("pool2d on cuda: expected pictures of at most " + std::to_string(kLargest) +
                      " values, got " + std::to_string(in.h * in.w * in.c) + " (" +
                      problem.ToString() + ")");
}

// All but the arrays.
Result<Pool2dArgs> Arguments(const Pool2dProblem& p) {
  NINC_RETURN_IF_ERROR(CheckPictures(p));
  Pool2dArgs args{};
  args.h = Axis(p.input.h, p.out_h(), p.kernel_h, p.stride_h, p.padding_h);
  args.w = Axis(p.input.w, p.out_w(), p.kernel_w, p.stride_w, p.padding_w);
  args.images = p.input.n;
  args.channels = p.input.c;
  args.count_include_pad = p.count_include_pad;
  return args;
}

void SetArrays(Pool2dArgs& args, const float* x, const float* dy, float* y) {
  args.x = x;
  args.dy = dy;
  args.y = y;
  args.vectors = args.channels % 4 == 0 && VectorsFit(x, dy, y);
}

// For kernels that write one value or vector of a rows×columns picture a thread.
Grid PixelGrid(const Pool2dArgs& args, int64_t rows, int64_t columns) {
  constexpr int64_t kMax = 65535;  // in y and z; the kernels go on from there
  return {.x = Blocks(CeilDiv(columns * args.channels / (args.vectors ? 4 : 1), kPoolThreads)),
          .y = Blocks(std::min(rows, kMax)),
          .z = Blocks(std::min(args.images, kMax)),
          .threads = kPoolThreads};
}

Result<Pooling> Forward(const char* kernel, const Pool2dProblem& problem) {
  NINC_ASSIGN_OR_RETURN(const Pool2dArgs shape, Arguments(problem));
  return Pooling([kernel, shape](Stream& stream, const float* x, float* y) {
    Pool2dArgs args = shape;
    SetArrays(args, x, nullptr, y);
    return stream.Launch({"pool2d", kernel}, PixelGrid(args, args.h.out, args.w.out), args);
  });
}

}  // namespace

Result<Pooling> MaxPooling(const Pool2dProblem& problem) {
  return Forward("ninc_max_pool2d_forward", problem);
}

Result<Pooling> AvgPooling(const Pool2dProblem& problem) {
  return Forward("ninc_avg_pool2d_forward", problem);
}

Compiled Compile(const step::MaxPool2d& step, const CompileContext&) {
  NINC_ASSIGN_OR_RETURN(const Pooling pooling, MaxPooling(step.problem));
  return PoolKernel(pooling, step.x, step.y);
}

Compiled Compile(const step::AvgPool2d& step, const CompileContext&) {
  NINC_ASSIGN_OR_RETURN(const Pooling pooling, AvgPooling(step.problem));
  return PoolKernel(pooling, step.x, step.y);
}

Compiled Compile(const step::AvgPool2dBackward& step, const CompileContext&) {
  NINC_ASSIGN_OR_RETURN(const Pool2dArgs shape, Arguments(step.problem));
  return Kernel{[step, shape](const Run& run) {
    Pool2dArgs args = shape;
    SetArrays(args, nullptr, run.In(step.dy), run.Out(step.dx));
    return On(run).Launch({"pool2d", "ninc_avg_pool2d_backward"},
                          PixelGrid(args, args.h.in, args.w.in), args);
  }};
}

Compiled Compile(const step::MaxPool2dBackward& step, const CompileContext&) {
  NINC_ASSIGN_OR_RETURN(const Pool2dArgs shape, Arguments(step.problem));
  return Kernel{[step, shape](const Run& run) {
    MaxPool2dBackwardArgs args{};
    args.pool = shape;
    SetArrays(args.pool, run.In(step.x), run.In(step.dy), run.Out(step.dx));
    const int64_t columns = args.pool.channels / (args.pool.vectors ? 4 : 1);
    while (args.lane_bits < MaxPoolTile::kMaxLaneBits && int64_t{1} << args.lane_bits < columns) {
      ++args.lane_bits;
    }
    const int64_t tiles_c = CeilDiv(columns, int64_t{1} << args.lane_bits);
    const int64_t tiles_h = CeilDiv(shape.h.in, MaxPoolTile::kHeight);
    const int64_t tiles_w =
        CeilDiv(shape.w.in, int64_t{1} << (MaxPoolTile::kColumnBits - args.lane_bits));
    args.tiles_c = static_cast<uint32_t>(tiles_c);
    args.tiles_h = static_cast<uint32_t>(tiles_h);
    args.tiles_w = static_cast<uint32_t>(tiles_w);
    const Grid grid{.x = Blocks(shape.images * tiles_h * tiles_w * tiles_c),
                    .threads = MaxPoolTile::kThreads};
    return On(run).Launch({"max_pool2d_backward", "ninc_max_pool2d_backward"}, grid, args);
  }};
}

}  // namespace ninc::cuda
