#include "cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>

#include "base/threads/thread_pool.h"
#include "cuda/runtime/current.h"
#include "ninc/cancel.h"

namespace ninc::cuda {
namespace {

void CopyOnThreads(std::byte* to, const std::byte* from, size_t bytes) {
  // Half a copy of weights would pass for all of them later.
  const CancellationScope whole(nullptr);
  const auto tasks = static_cast<int64_t>((bytes + Staging::kTaskBytes - 1) / Staging::kTaskBytes);
  ParallelFor(GetNumThreads(), tasks, [&](int64_t task, int) {
    const size_t begin = static_cast<size_t>(task) * Staging::kTaskBytes;
    std::memcpy(to + begin, from + begin, std::min(Staging::kTaskBytes, bytes - begin));
  });
}

}  // namespace

Result<std::unique_ptr<Staging>> Staging::Make(Context& context) {
  constexpr char kWhat[] = "cuda: pinned memory for copies";
  const Driver& driver = context.driver();
  std::unique_ptr<Staging> staging(new Staging(context));
  for (Half& half : staging->halves_) {
    void* memory = nullptr;
    NINC_RETURN_IF_ERROR(context.Check(driver.MemHostAlloc(&memory, kHalfBytes, 0), kWhat));
    half.memory = static_cast<std::byte*>(memory);
    half.bytes = kHalfBytes;
    NINC_RETURN_IF_ERROR(
        context.Check(driver.EventCreate(&half.done, abi::kEventDisableTiming), kWhat));
  }
  return staging;
}

Staging::~Staging() {
  const Current current(context_);
  if (!current.status().ok()) return;
  for (Half& half : halves_) {
    if (half.done) context_.driver().EventDestroy(half.done);
    if (half.memory) context_.driver().MemFreeHost(half.memory);
  }
}

#define NINC_CUDA_TRY(call)                                                  \
  do {                                                                       \
    if (const abi::Result code = (call); code != abi::kSuccess) return code; \
  } while (false)

abi::Result Staging::Grow(Half* half, size_t bytes) {
  const Driver& driver = context_.driver();
  void* memory = nullptr;
  NINC_CUDA_TRY(driver.MemHostAlloc(&memory, bytes, 0));
  const abi::Result freed = driver.MemFreeHost(half->memory);
  half->memory = static_cast<std::byte*>(memory);
  half->bytes = bytes;
  return freed;
}

abi::Result Staging::CopyIn(abi::Stream stream, abi::DevicePointer to, const void* from,
                            size_t bytes) {
  const Driver& driver = context_.driver();
  for (size_t begin = 0; begin < bytes;) {
    Half& half = NextHalf();
    // An event that was never recorded counts as done.
    NINC_CUDA_TRY(driver.EventSynchronize(half.done));
    const size_t wanted = std::min(bytes - begin, kLargestHalf);
    if (half.bytes < wanted) {
      // Where no more memory can be pinned, what there is takes more turns.
      const abi::Result grown = Grow(&half, wanted);
      if (grown != abi::kOutOfMemory) NINC_CUDA_TRY(grown);
    }
    const size_t part = std::min(bytes - begin, half.bytes);
    for (size_t done = 0; done < part; done += kPieceBytes) {
      const size_t piece = std::min(kPieceBytes, part - done);
      CopyOnThreads(half.memory + done, static_cast<const std::byte*>(from) + begin + done, piece);
      NINC_CUDA_TRY(driver.MemcpyHtoDAsync(to + begin + done, half.memory + done, piece, stream));
    }
    NINC_CUDA_TRY(driver.EventRecord(half.done, stream));
    begin += part;
  }
  return abi::kSuccess;
}

abi::Result Staging::CopyOut(abi::Stream stream, void* to, abi::DevicePointer from, size_t bytes) {
  const Driver& driver = context_.driver();
  Half* under_way = nullptr;
  size_t begun = 0;     // the transfer of all before is queued
  size_t finished = 0;  // all before is in `to`
  while (finished < bytes) {
    Half* next = nullptr;
    const size_t part = std::min(kHalfBytes, bytes - begun);
    if (part > 0) {
      next = &NextHalf();
      // An earlier CopyIn may still be reading this half, but on this stream, hence before.
      NINC_CUDA_TRY(driver.MemcpyDtoHAsync(next->memory, from + begun, part, stream));
      NINC_CUDA_TRY(driver.EventRecord(next->done, stream));
    }
    if (under_way != nullptr) {
      NINC_CUDA_TRY(driver.EventSynchronize(under_way->done));
      std::memcpy(static_cast<std::byte*>(to) + finished, under_way->memory, begun - finished);
      finished = begun;
    }
    begun += part;
    under_way = next;
  }
  return abi::kSuccess;
}

}  // namespace ninc::cuda
