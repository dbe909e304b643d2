#include "cuda/layout/layout.h"

#include <array>
#include <cstdlib>

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {
namespace {

TransposeTile MakeTile(int64_t pixels, int64_t channels) {
  TransposeTile tile{};
  tile.tile_channels =
      static_cast<uint32_t>(std::min<int64_t>(channels, TransposeTile::kMaxChannels));
  tile.pixel_bits = 5;  // no fewer pixels than a warp has lanes
  while ((tile.tile_channels << (tile.pixel_bits + 1)) <= TransposeTile::kSize) ++tile.pixel_bits;
  tile.row = (1u << tile.pixel_bits) +
             static_cast<uint32_t>(CeilDiv(TransposeTile::kMaxChannels, tile.tile_channels));
  tile.pixel_tiles = static_cast<uint32_t>(CeilDiv(pixels, int64_t{1} << tile.pixel_bits));
  tile.channel_tiles = static_cast<uint32_t>(CeilDiv(channels, tile.tile_channels));
  return tile;
}

Grid TileGrid(const TransposeTile& tile, int64_t images) {
  return {.x = Blocks(images * tile.pixel_tiles * tile.channel_tiles),
          .threads = TransposeTile::kThreads};
}

Status FromFloats(Stream& stream, const Shape& shape, const StridedView& x, float* y) {
  FromNchwArgs args{};
  args.images = shape.n;
  args.channels = shape.c;
  args.pixels = shape.h * shape.w;
  args.columns = shape.w;
  args.stride_n = x.strides[0];
  args.stride_c = x.strides[1];
  args.stride_h = x.strides[2];
  args.stride_w = x.strides[3];
  if (args.pixels == 1 && shape.n > 0) {  // the images are what lies side by side
    args.images = 1;
    args.pixels = args.columns = shape.n;
    args.stride_w = args.stride_n;
  } else if (shape.w == 1) {
    args.columns = shape.h;
    args.stride_w = args.stride_h;
  }
  args.x = x.data;
  args.y = y;
  args.channels_first = std::abs(args.stride_c) < std::abs(args.stride_w);
  args.tile = MakeTile(args.pixels, args.channels);
  return stream.Launch({"layout", "ninc_from_nchw"}, TileGrid(args.tile, args.images), args);
}

Status FromPictures(Stream& stream, const Shape& shape, const Pictures& pictures, float* y) {
  const bool vectors = IsAligned(pictures.data, 4) && VectorsFit(y);
  const FromUint8Args args{shape.size(),   static_cast<uint32_t>(shape.c),
                           pictures.data,  pictures.scale,
                           pictures.shift, y,
                           vectors};
  return stream.Launch({"layout", "ninc_from_uint8"}, ElementGrid(args.count), args);
}

}  // namespace

// What the caller hands in is floats, N×C×H×W of any strides, or pictures, N×H×W×C bytes.
Compiled Compile(const step::FromNchw& step, const CompileContext& context) {
  const Shape to = context.shape(step.y);
  if (context.values[step.x].kind != ValueKind::kInput) {
    const std::array<int64_t, 4> strides{to.c * to.h * to.w, to.h * to.w, to.w, 1};
    return Kernel{[step, to, strides](const Run& run) {
      return FromFloats(On(run), to, {run.In(step.x), strides}, run.Out(step.y));
    }};
  }
  return Kernel{[step, to](const Run& run) {
    const RunArguments& given = run.arguments();
    float* y = run.Out(step.y);
    return given.pictures.data != nullptr ? FromPictures(On(run), to, given.pictures, y)
                                          : FromFloats(On(run), to, given.x, y);
  }};
}

Compiled Compile(const step::ToNchw& step, const CompileContext& context) {
  const Shape from = context.shape(step.x);
  const int64_t pixels = from.h * from.w;
  if (pixels == 1 || from.c == 1) {  // the same bytes in both orders
    return Kernel{[step, bytes = static_cast<size_t>(from.size()) * sizeof(float)](const Run& run) {
      return On(run).CopyWithin(run.Out(step.y), run.In(step.x), bytes);
    }};
  }
  return Kernel{[step, from, pixels, tile = MakeTile(pixels, from.c)](const Run& run) {
    const ToNchwArgs args{tile, from.n, from.c, pixels, run.In(step.x), run.Out(step.y)};
    return On(run).Launch({"layout", "ninc_to_nchw"}, TileGrid(tile, from.n), args);
  }};
}

}  // namespace ninc::cuda
