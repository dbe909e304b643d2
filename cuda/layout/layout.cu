#include "cuda/layout/layout.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

// A block's tile: an image, its first pixel and channel, and how many of each there are.
struct TilePlace {
  __device__ __forceinline__ TilePlace(const TransposeTile& tile, int64_t pixels,
                                       int64_t channels) {
    uint32_t rest = blockIdx.x;
    channel = static_cast<int64_t>(rest % tile.channel_tiles) * tile.tile_channels;
    rest /= tile.channel_tiles;
    pixel = static_cast<int64_t>(rest % tile.pixel_tiles) << tile.pixel_bits;
    image = rest / tile.pixel_tiles;
    tile_pixels = static_cast<uint32_t>(min(pixels - pixel, int64_t{1} << tile.pixel_bits));
    tile_channels =
        static_cast<uint32_t>(min(channels - channel, static_cast<int64_t>(tile.tile_channels)));
  }

  int64_t image, pixel, channel;
  uint32_t tile_pixels, tile_channels;
};

// Calls visit(pixel, channel) for a tile's elements, neighbouring threads at neighbouring pixels.
template <class Visit>
__device__ __forceinline__ void AlongPixels(const TransposeTile& tile, const TilePlace& place,
                                            Visit visit) {
  const uint32_t width = 1u << tile.pixel_bits;
  for (uint32_t i = threadIdx.x; i < place.tile_channels << tile.pixel_bits;
       i += TransposeTile::kThreads) {
    const uint32_t pixel = i & (width - 1);
    if (pixel < place.tile_pixels) visit(pixel, i >> tile.pixel_bits);
  }
}

// The same, neighbouring threads at neighbouring channels.
template <class Visit>
__device__ __forceinline__ void AlongChannels(const TilePlace& place, Visit visit) {
  for (uint32_t i = threadIdx.x; i < place.tile_pixels * place.tile_channels;
       i += TransposeTile::kThreads) {
    const uint32_t pixel = i / place.tile_channels;
    visit(pixel, i - pixel * place.tile_channels);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(TransposeTile::kThreads, 4)
    ninc_from_nchw(const FromNchwArgs args) {
  __shared__ float shared[TransposeTile::kShared];
  const TilePlace place(args.tile, args.pixels, args.channels);
  const float* x = args.x + place.image * args.stride_n + place.channel * args.stride_c;
  float* y = args.y + (place.image * args.pixels + place.pixel) * args.channels + place.channel;
  const auto load = [&](uint32_t pixel, uint32_t channel) {
    const uint32_t position = static_cast<uint32_t>(place.pixel) + pixel;
    const uint32_t columns = static_cast<uint32_t>(args.columns);
    const uint32_t h = position / columns, w = position - h * columns;
    return x[channel * args.stride_c + h * args.stride_h + w * args.stride_w];
  };

  if (args.channels_first) {
    AlongChannels(place, [&](uint32_t pixel, uint32_t channel) {
      y[pixel * args.channels + channel] = load(pixel, channel);
    });
    return;
  }
  AlongPixels(args.tile, place, [&](uint32_t pixel, uint32_t channel) {
    shared[channel * args.tile.row + pixel] = load(pixel, channel);
  });
  __syncthreads();
  AlongChannels(place, [&](uint32_t pixel, uint32_t channel) {
    y[pixel * args.channels + channel] = shared[channel * args.tile.row + pixel];
  });
}

extern "C" __global__ void __launch_bounds__(TransposeTile::kThreads, 4)
    ninc_to_nchw(const ToNchwArgs args) {
  __shared__ float shared[TransposeTile::kShared];
  const TilePlace place(args.tile, args.pixels, args.channels);
  const float* x =
      args.x + (place.image * args.pixels + place.pixel) * args.channels + place.channel;
  float* y = args.y + (place.image * args.channels + place.channel) * args.pixels + place.pixel;
  AlongChannels(place, [&](uint32_t pixel, uint32_t channel) {
    shared[channel * args.tile.row + pixel] = x[pixel * args.channels + channel];
  });
  __syncthreads();
  AlongPixels(args.tile, place, [&](uint32_t pixel, uint32_t channel) {
    y[channel * args.pixels + pixel] = shared[channel * args.tile.row + pixel];
  });
}

// Flat over all values, four at a time: pictures have three channels. A thread's channel moves on
// by the same amount each turn.
extern "C" __global__ void __launch_bounds__(256, 4) ninc_from_uint8(const FromUint8Args args) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
  const auto convert = [&](uint32_t value, uint32_t channel) {
    return fmaf(static_cast<float>(value), args.scale[channel], args.shift[channel]);
  };
  const auto walk = [&](int64_t first, int64_t end, uint32_t group, auto step) {
    const uint32_t turn = group * threads % args.channels;
    uint32_t channel = static_cast<uint32_t>((first + group * thread) % args.channels);
    for (int64_t i = first + group * thread; i < end; i += int64_t{group} * threads) {
      step(i, channel);
      channel += turn;
      if (channel >= args.channels) channel -= args.channels;
    }
  };

  const int64_t whole = args.vectors ? args.count / 4 * 4 : 0;
  walk(0, whole, 4, [&](int64_t i, uint32_t channel) {
    const uchar4 x = *reinterpret_cast<const uchar4*>(args.x + i);
    const uint32_t values[4] = {x.x, x.y, x.z, x.w};
    Pack<4> y;
    for (int v = 0; v < 4; ++v) {
      y.v[v] = convert(values[v], channel);
      channel = channel + 1 < args.channels ? channel + 1 : 0;
    }
    Store(y, args.y + i);
  });
  walk(whole, args.count, 1,
       [&](int64_t i, uint32_t channel) { args.y[i] = convert(args.x[i], channel); });
}

}  // namespace ninc::cuda
