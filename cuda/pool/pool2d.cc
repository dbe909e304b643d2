#include "cuda/pool/pool2d.h"

#include <limits>
#include <string>

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

// A stride beyond the picture means the same as any other there.
PoolAxis Axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(value); };
  return {narrow(in), narrow(out), narrow(kernel), narrow(std::min(stride, in + 2 * padding + 1)),
          narrow(padding)};
}

Pool2dArgs Arguments(const Pool2dProblem& p, const float* x, const float* dy, float* y) {
  Pool2dArgs args{};
  args.h = Axis(p.input.h, p.out_h(), p.kernel_h, p.stride_h, p.padding_h);
  args.w = Axis(p.input.w, p.out_w(), p.kernel_w, p.stride_w, p.padding_w);
  args.images = p.input.n;
  args.channels = p.input.c;
  args.x = x;
  args.dy = dy;
  args.y = y;
  args.count_include_pad = p.count_include_pad;
  args.vectors = p.input.c % 4 == 0 && VectorsFit(x, dy, y);
  return args;
}

// For kernels that write one value or vector of a rows×columns picture a thread.
Grid PixelGrid(const Pool2dArgs& args, int64_t rows, int64_t columns) {
  constexpr int64_t kMax = 65535;  // in y and z; the kernels go on from there
  Grid grid;
  grid.x = Blocks(CeilDiv(columns * args.channels / (args.vectors ? 4 : 1), kPoolThreads));
  grid.y = Blocks(std::min(rows, kMax));
  grid.z = Blocks(std::min(args.images, kMax));
  grid.threads = kPoolThreads;
  return grid;
}

}  // namespace

Status CheckPictures(const Pool2dProblem& problem) {
  const Shape in = problem.input, out = problem.output();
  const int64_t values = std::max(in.h * in.w * in.c, out.h * out.w * out.c);
  const int64_t reach = std::max(problem.kernel_h, problem.kernel_w) + std::max(in.h, in.w) * 2;
  if (values <= kLargest && reach <= kLargest) return {};
  return InvalidShape("pool2d on cuda: expected pictures of at most " + std::to_string(kLargest) +
                      " values, got " + std::to_string(in.h * in.w * in.c) + " (" +
                      problem.ToString() + ")");
}

Status MaxPool2dForward(Stream& stream, const Pool2dProblem& problem, const float* x, float* y) {
  NINC_RETURN_IF_ERROR(CheckPictures(problem));
  const Pool2dArgs args = Arguments(problem, x, nullptr, y);
  return stream.Launch({"pool2d", "ninc_max_pool2d_forward"},
                       PixelGrid(args, args.h.out, args.w.out), args);
}

Status MaxPool2dBackward(Stream& stream, const Pool2dProblem& problem, const float* dy,
                         const float* x, float* dx) {
  NINC_RETURN_IF_ERROR(CheckPictures(problem));
  MaxPool2dBackwardArgs args{};
  args.pool = Arguments(problem, x, dy, dx);
  const int64_t columns = args.pool.channels / (args.pool.vectors ? 4 : 1);
  while (args.lane_bits < MaxPoolTile::kMaxLaneBits && int64_t{1} << args.lane_bits < columns) {
    ++args.lane_bits;
  }
  const int64_t tiles_c = CeilDiv(columns, int64_t{1} << args.lane_bits);
  const int64_t tiles_h = CeilDiv(problem.input.h, MaxPoolTile::kHeight);
  const int64_t tiles_w =
      CeilDiv(problem.input.w, int64_t{1} << (MaxPoolTile::kColumnBits - args.lane_bits));
  args.tiles_c = static_cast<uint32_t>(tiles_c);
  args.tiles_h = static_cast<uint32_t>(tiles_h);
  args.tiles_w = static_cast<uint32_t>(tiles_w);
  Grid grid;
  grid.x = Blocks(problem.input.n * tiles_h * tiles_w * tiles_c);
  grid.threads = MaxPoolTile::kThreads;
  return stream.Launch({"max_pool2d_backward", "ninc_max_pool2d_backward"}, grid, args);
}

Status AvgPool2dForward(Stream& stream, const Pool2dProblem& problem, const float* x, float* y) {
  NINC_RETURN_IF_ERROR(CheckPictures(problem));
  const Pool2dArgs args = Arguments(problem, x, nullptr, y);
  return stream.Launch({"pool2d", "ninc_avg_pool2d_forward"},
                       PixelGrid(args, args.h.out, args.w.out), args);
}

Status AvgPool2dBackward(Stream& stream, const Pool2dProblem& problem, const float* dy, float* dx) {
  NINC_RETURN_IF_ERROR(CheckPictures(problem));
  const Pool2dArgs args = Arguments(problem, nullptr, dy, dx);
  return stream.Launch({"pool2d", "ninc_avg_pool2d_backward"},
                       PixelGrid(args, args.h.in, args.w.in), args);
}

}  // namespace ninc::cuda
