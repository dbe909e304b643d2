// Pinned host memory that copies between pageable memory and the device go through, in two halves:
// while the device reads or writes one, the processor fills or empties the other.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "cuda/runtime/context.h"
#include "ninc/status.h"

namespace ninc::cuda {

// Belongs to one stream and is used as the stream is: by one thread at a time.
class Staging {
 public:
  // At first: large enough that a copy's fixed costs, some microseconds, vanish beside its
  // transfer.
  static constexpr size_t kHalfBytes = size_t{2} << 20;
  // A half grows to hold a whole batch up to this size: in pieces, a batch would wait for all that
  // its stream has queued, since a half is free again only once its last transfer has been made.
  static constexpr size_t kLargestHalf = size_t{64} << 20;
  // But its transfer begins with the first of these: the device reads one while the processor's
  // threads, one of which would take longer than the transfer, fill the next.
  static constexpr size_t kPieceBytes = size_t{4} << 20;
  static constexpr size_t kTaskBytes = size_t{256} << 10;  // of a thread at a time

  static Result<std::unique_ptr<Staging>> Make(Context& context);
  ~Staging();  // the stream has no work left
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // The driver's answer, which the stream puts into words.
  abi::Result CopyIn(abi::Stream stream, abi::DevicePointer to, const void* from, size_t bytes);
  abi::Result CopyOut(abi::Stream stream, void* to, abi::DevicePointer from, size_t bytes);

 private:
  struct Half {
    std::byte* memory = nullptr;
    size_t bytes = 0;
    abi::Event done = nullptr;  // recorded after the half's last transfer
  };

  explicit Staging(Context& context) : context_(context) {}
  Half& NextHalf() { return halves_[next_ ^= 1]; }
  abi::Result Grow(Half* half, size_t bytes);  // one that no transfer uses

  Context& context_;
  std::array<Half, 2> halves_;
  int next_ = 0;
};

}  // namespace ninc::cuda
