// The emulated driver: memory of the device, pinned memory, copies.
#include <algorithm>
#include <new>

#include "cuda_emulator/driver/fake_driver.h"

using namespace ninc::emulator;  // NOLINT: the functions below are the driver's, outside any

namespace {

// A Status of the emulated memory as a queue wants it.
std::optional<std::string> Fault(const char* function, const ninc::Status& status) {
  if (status.ok()) return std::nullopt;
  return std::string(function) + ": " + status.message();
}

// Finds the stream, or says that there is none.
abi::Result WithStream(const char* function, abi::Stream handle,
                       const std::function<abi::Result(FakeDriver&, FakeStream*)>& body) {
  return Enter(function, Need::kContext, [&](FakeDriver& driver) {
    FakeStream* stream = driver.streams.Find(handle);
    if (stream == nullptr) return driver.Misuse(function, "no such stream", abi::kInvalidHandle);
    return body(driver, stream);
  });
}

}  // namespace

NINC_FAKE cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  return Enter("cuMemGetInfo", Need::kContext, [&](FakeDriver& driver) {
    *total_bytes = static_cast<size_t>(driver.settings.memory);
    *free_bytes = *total_bytes - std::min(*total_bytes, driver.memory.live_bytes());
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemAlloc_v2(abi::DevicePointer* pointer, size_t bytes) {
  return Enter("cuMemAlloc", Need::kAnyContext, [&](FakeDriver& driver) {
    if (bytes == 0) return driver.Misuse("cuMemAlloc", "0 bytes", abi::kInvalidValue);
    if (FakeDriver::Turn(&driver.settings.fail_allocation)) return abi::kOutOfMemory;
    const auto total = static_cast<size_t>(driver.settings.memory);
    if (driver.memory.live_bytes() > total || bytes > total - driver.memory.live_bytes()) {
      return abi::kOutOfMemory;
    }
    *pointer = driver.memory.Allocate(bytes);
    if (*pointer == 0) return abi::kOutOfMemory;
    const abi::Device device = driver.DeviceOf(CurrentContext());
    if (device != 0) driver.elsewhere[*pointer] = device;
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemFree_v2(abi::DevicePointer pointer) {
  return Enter("cuMemFree", Need::kAnyContext, [&](FakeDriver& driver) {
    // As the real one: work that may use the memory is done first.
    if (const abi::Result code = driver.RunAll(); code != abi::kSuccess) return code;
    if (!driver.memory.Free(pointer)) {
      return driver.Misuse("cuMemFree", "no live allocation begins here", abi::kInvalidValue);
    }
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return Enter("cuMemHostAlloc", Need::kContext, [&](FakeDriver& driver) {
    if (bytes == 0 || flags != 0) {
      return driver.Misuse("cuMemHostAlloc", "0 bytes or flags", abi::kInvalidValue);
    }
    if (FakeDriver::Turn(&driver.settings.fail_pinned)) return abi::kOutOfMemory;
    std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
    if (!memory) return abi::kOutOfMemory;
    *pointer = memory.get();
    driver.pinned_bytes[memory.get()] = bytes;
    driver.pinned[memory.get()] = std::move(memory);
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemFreeHost(void* pointer) {
  return Enter("cuMemFreeHost", Need::kContext, [&](FakeDriver& driver) {
    if (const abi::Result code = driver.RunAll(); code != abi::kSuccess) return code;
    const auto* begin = static_cast<const std::byte*>(pointer);
    if (driver.pinned.erase(begin) == 0) {
      return driver.Misuse("cuMemFreeHost", "no pinned memory begins here", abi::kInvalidValue);
    }
    driver.pinned_bytes.erase(begin);
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemcpyHtoDAsync_v2(abi::DevicePointer to, const void* from, size_t bytes,
                               abi::Stream handle) {
  constexpr char kName[] = "cuMemcpyHtoDAsync";
  return WithStream(kName, handle, [=](FakeDriver& driver, FakeStream* stream) {
    if (!driver.IsPinned(from, bytes)) {
      return driver.Misuse(kName, "the host's memory is not pinned", abi::kInvalidValue);
    }
    driver.Queue(stream, {[=](FakeDriver& d) -> std::optional<std::string> {
                   if (!d.IsPinned(from, bytes))
                     return "cuMemcpyHtoDAsync: the pinned memory was freed";
                   return Fault(kName, d.memory.Write(to, from, bytes));
                 }});
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemcpyDtoHAsync_v2(void* to, abi::DevicePointer from, size_t bytes,
                               abi::Stream handle) {
  constexpr char kName[] = "cuMemcpyDtoHAsync";
  return WithStream(kName, handle, [=](FakeDriver& driver, FakeStream* stream) {
    if (!driver.IsPinned(to, bytes)) {
      return driver.Misuse(kName, "the host's memory is not pinned", abi::kInvalidValue);
    }
    driver.Queue(stream, {[=](FakeDriver& d) -> std::optional<std::string> {
                   if (!d.IsPinned(to, bytes))
                     return "cuMemcpyDtoHAsync: the pinned memory was freed";
                   return Fault(kName, d.memory.Read(to, from, bytes));
                 }});
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemcpyDtoDAsync_v2(abi::DevicePointer to, abi::DevicePointer from, size_t bytes,
                               abi::Stream handle) {
  constexpr char kName[] = "cuMemcpyDtoDAsync";
  return WithStream(kName, handle, [=](FakeDriver& driver, FakeStream* stream) {
    if (to < from + bytes && from < to + bytes) {
      return driver.Misuse(kName, "the two ranges overlap", abi::kInvalidValue);
    }
    driver.Queue(stream,
                 {[=](FakeDriver& d) { return Fault(kName, d.memory.Copy(to, from, bytes)); }});
    return abi::kSuccess;
  });
}

NINC_FAKE cuMemsetD8Async(abi::DevicePointer to, unsigned char value, size_t bytes,
                          abi::Stream handle) {
  constexpr char kName[] = "cuMemsetD8Async";
  return WithStream(kName, handle, [=](FakeDriver& driver, FakeStream* stream) {
    driver.Queue(stream,
                 {[=](FakeDriver& d) { return Fault(kName, d.memory.Fill(to, value, bytes)); }});
    return abi::kSuccess;
  });
}

NINC_FAKE cuPointerGetAttribute(void* value, abi::PointerAttribute attribute,
                                abi::DevicePointer pointer) {
  return Enter("cuPointerGetAttribute", Need::kContext, [&](FakeDriver& driver) {
    const MemoryBlock* block = driver.memory.Find(pointer);
    const bool on_device = block != nullptr && !block->freed && pointer >= block->address &&
                           pointer < block->address + block->bytes;
    const bool pinned = !on_device && driver.IsPinned(reinterpret_cast<void*>(pointer), 1);
    if (!on_device && !pinned) return abi::kInvalidValue;  // memory no driver knows
    switch (attribute) {
      case abi::kPointerMemoryType:
        *static_cast<unsigned*>(value) = on_device ? abi::kMemoryDevice : abi::kMemoryHost;
        return abi::kSuccess;
      case abi::kPointerDeviceOrdinal:
        *static_cast<int*>(value) = 0;
        if (on_device) {
          const auto found = driver.elsewhere.find(block->address);
          if (found != driver.elsewhere.end()) *static_cast<int*>(value) = found->second;
        }
        return abi::kSuccess;
    }
    return driver.Misuse("cuPointerGetAttribute", "an attribute that is not emulated",
                         abi::kInvalidValue);
  });
}
