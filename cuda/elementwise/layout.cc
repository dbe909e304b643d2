#include "cuda/elementwise/layout.h"

#include <cstdlib>

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

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
  Grid grid;
  grid.x = Blocks(images * tile.pixel_tiles * tile.channel_tiles);
  grid.threads = TransposeTile::kThreads;
  return grid;
}

}  // namespace

Status FromNchw(Stream& stream, const Shape& shape, const StridedView& x, float* y) {
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

Status ToNchw(Stream& stream, const Shape& shape, const float* x, float* y) {
  const int64_t pixels = shape.h * shape.w;
  if (pixels == 1 || shape.c == 1) {  // the same bytes in both orders
    return stream.CopyWithin(y, x, static_cast<size_t>(shape.size()) * sizeof(float));
  }
  const ToNchwArgs args{MakeTile(pixels, shape.c), shape.n, shape.c, pixels, x, y};
  return stream.Launch({"layout", "ninc_to_nchw"}, TileGrid(args.tile, args.images), args);
}

Status FromUint8(Stream& stream, const Shape& shape, const uint8_t* x, const float* scale,
                 const float* shift, float* y) {
  const bool vectors = IsAligned(x, 4) && VectorsFit(y);
  const FromUint8Args args{shape.size(), static_cast<uint32_t>(shape.c), x, scale, shift, y,
                           vectors};
  return stream.Launch({"layout", "ninc_from_uint8"}, ElementGrid(args.count), args);
}

}  // namespace ninc::cuda
