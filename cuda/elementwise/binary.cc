#include "cuda/elementwise/binary.h"

#include <algorithm>

#include "cuda/common/launch.h"
#include "cuda/compile.h"
#include "compile/broadcast.h"

namespace ninc::cuda {

Compiled Compile(const step::Binary& step, const CompileContext& context) {
  const Broadcast loops(context.shape(step.a), context.shape(step.b), context.shape(step.y));
  BinaryArgs args{
      .count = context.shape(step.y).size(), .function = step.function, .alike = loops.Alike()};
  std::copy(std::begin(loops.count), std::end(loops.count), args.counts);
  std::copy(std::begin(loops.a), std::end(loops.a), args.a_steps);
  std::copy(std::begin(loops.b), std::end(loops.b), args.b_steps);
  return Kernel{[step, args](const Run& run) {
    BinaryArgs now = args;
    now.a = run.In(step.a);
    now.b = run.In(step.b);
    now.y = run.Out(step.y);
    now.vectors = VectorsFit(now.a, now.b, now.y);
    return On(run).Launch({"binary", "ninc_binary"}, ElementGrid(args.count), now);
  }};
}

Compiled Compile(const step::SumTo& step, const CompileContext& context) {
  const SumWalk walk(context.shape(step.x), context.shape(step.y));
  SumToArgs args{.factor = step.factor, .channels = walk.channels};
  std::copy(std::begin(walk.kept), std::end(walk.kept), args.kept);
  std::copy(std::begin(walk.summed), std::end(walk.summed), args.summed);
  std::copy(std::begin(walk.steps), std::end(walk.steps), args.steps);
  const int64_t pixels = context.shape(step.y).pixels();
  const char* const kernel = walk.across ? "ninc_sum_to_pixel" : "ninc_sum_to";
  Grid grid = ThreadGrid(std::min(pixels * walk.channels, kMaxElementBlocks * 256));
  if (walk.across) {
    grid = {.x = Blocks(pixels), .threads = kSumThreads};
  }
  return Kernel{[step, args, kernel, grid](const Run& run) {
    SumToArgs now = args;
    now.x = run.In(step.x);
    now.y = run.Out(step.y);
    return On(run).Launch({"binary", kernel}, grid, now);
  }};
}

}  // namespace ninc::cuda
