// The emulated driver: streams, events, capture, graphs.
#include "cuda_emulator/driver/fake_driver.h"

using namespace ninc::emulator;  // NOLINT: the functions below are the driver's, outside any

namespace {

constexpr uint64_t kLegacyStream = 1;
constexpr uint64_t kPerThreadStream = 2;

abi::Result NoStream(FakeDriver& driver, const char* function) {
  return driver.Misuse(function, "no such stream", abi::kInvalidHandle);
}

// A capture does not survive a call that waits.
abi::Result Invalidate(FakeDriver& driver, const char* function, FakeStream* stream) {
  stream->invalidated = true;
  return driver.Misuse(function, "not while the stream captures", abi::kStreamCaptureUnsupported);
}

}  // namespace

NINC_FAKE cuStreamCreate(abi::Stream* handle, unsigned flags) {
  return Enter("cuStreamCreate", Need::kContext, [&](FakeDriver& driver) {
    if (flags > abi::kStreamNonBlocking) {
      return driver.Misuse("cuStreamCreate", "unknown flags", abi::kInvalidValue);
    }
    *handle = driver.streams.Add(std::make_unique<FakeStream>());
    return abi::kSuccess;
  });
}

NINC_FAKE cuStreamDestroy_v2(abi::Stream handle) {
  return Enter("cuStreamDestroy", Need::kContext, [&](FakeDriver& driver) {
    FakeStream* stream = driver.streams.Find(handle);
    if (stream == nullptr) return NoStream(driver, "cuStreamDestroy");
    if (stream->capturing) return Invalidate(driver, "cuStreamDestroy", stream);
    const abi::Result code = driver.RunUntil(stream, stream->queued);
    driver.streams.Remove(handle);
    return code;
  });
}

NINC_FAKE cuStreamSynchronize(abi::Stream handle) {
  return Enter("cuStreamSynchronize", Need::kContext, [&](FakeDriver& driver) {
    const auto number = reinterpret_cast<uint64_t>(handle);
    // The default streams, on which nobody here queues anything.
    if (number == kLegacyStream || number == kPerThreadStream) return abi::kSuccess;
    FakeStream* stream = driver.streams.Find(handle);
    if (stream == nullptr) return NoStream(driver, "cuStreamSynchronize");
    if (stream->capturing) return Invalidate(driver, "cuStreamSynchronize", stream);
    return driver.RunUntil(stream, stream->queued);
  });
}

NINC_FAKE cuEventCreate(abi::Event* handle, unsigned flags) {
  return Enter("cuEventCreate", Need::kContext, [&](FakeDriver& driver) {
    if (flags != abi::kEventDisableTiming) {
      return driver.Misuse("cuEventCreate", "flags that are not emulated", abi::kInvalidValue);
    }
    *handle = driver.events.Add(std::make_unique<FakeEvent>());
    return abi::kSuccess;
  });
}

NINC_FAKE cuEventDestroy_v2(abi::Event handle) {
  return Enter("cuEventDestroy", Need::kContext, [&](FakeDriver& driver) {
    if (driver.events.Find(handle) == nullptr) {
      return driver.Misuse("cuEventDestroy", "no such event", abi::kInvalidHandle);
    }
    driver.events.Remove(handle);
    return abi::kSuccess;
  });
}

NINC_FAKE cuEventRecord(abi::Event handle, abi::Stream stream_handle) {
  return Enter("cuEventRecord", Need::kContext, [&](FakeDriver& driver) {
    FakeEvent* event = driver.events.Find(handle);
    FakeStream* stream = driver.streams.Find(stream_handle);
    if (event == nullptr || stream == nullptr) return NoStream(driver, "cuEventRecord");
    if (stream->capturing) return Invalidate(driver, "cuEventRecord", stream);
    event->stream = stream;
    event->position = stream->queued;
    return abi::kSuccess;
  });
}

NINC_FAKE cuEventSynchronize(abi::Event handle) {
  return Enter("cuEventSynchronize", Need::kContext, [&](FakeDriver& driver) {
    FakeEvent* event = driver.events.Find(handle);
    if (event == nullptr) {
      return driver.Misuse("cuEventSynchronize", "no such event", abi::kInvalidHandle);
    }
    if (event->stream == nullptr) return abi::kSuccess;
    return driver.RunUntil(event->stream, event->position);
  });
}

NINC_FAKE cuStreamBeginCapture_v2(abi::Stream handle, abi::StreamCaptureMode mode) {
  return Enter("cuStreamBeginCapture", Need::kContext, [&](FakeDriver& driver) {
    FakeStream* stream = driver.streams.Find(handle);
    if (stream == nullptr) return NoStream(driver, "cuStreamBeginCapture");
    if (stream->capturing || mode != abi::kCaptureRelaxed) {
      return driver.Misuse("cuStreamBeginCapture", "captures already, or another mode than relaxed",
                           abi::kInvalidValue);
    }
    stream->capturing = true;
    stream->invalidated = false;
    stream->captured.clear();
    return abi::kSuccess;
  });
}

NINC_FAKE cuStreamEndCapture(abi::Stream handle, abi::Graph* graph) {
  return Enter("cuStreamEndCapture", Need::kContext, [&](FakeDriver& driver) {
    *graph = nullptr;
    FakeStream* stream = driver.streams.Find(handle);
    if (stream == nullptr) return NoStream(driver, "cuStreamEndCapture");
    if (!stream->capturing) return abi::kStreamCaptureUnmatched;
    stream->capturing = false;
    if (stream->invalidated) return abi::kStreamCaptureInvalidated;
    auto captured = std::make_unique<FakeGraph>();
    captured->nodes.swap(stream->captured);
    *graph = driver.graphs.Add(std::move(captured));
    return abi::kSuccess;
  });
}

NINC_FAKE cuGraphInstantiateWithFlags(abi::GraphExec* executable, abi::Graph handle,
                                      unsigned long long flags) {  // NOLINT: the driver's type
  return Enter("cuGraphInstantiate", Need::kContext, [&](FakeDriver& driver) {
    const FakeGraph* graph = driver.graphs.Find(handle);
    if (graph == nullptr || flags != 0) {
      return driver.Misuse("cuGraphInstantiate", "no such graph, or flags", abi::kInvalidValue);
    }
    auto made = std::make_unique<FakeGraphExec>();
    made->nodes = graph->nodes;
    *executable = driver.executables.Add(std::move(made));
    return abi::kSuccess;
  });
}

NINC_FAKE cuGraphDestroy(abi::Graph handle) {
  return Enter("cuGraphDestroy", Need::kContext, [&](FakeDriver& driver) {
    if (driver.graphs.Find(handle) == nullptr) {
      return driver.Misuse("cuGraphDestroy", "no such graph", abi::kInvalidHandle);
    }
    driver.graphs.Remove(handle);
    return abi::kSuccess;
  });
}

NINC_FAKE cuGraphExecDestroy(abi::GraphExec handle) {
  return Enter("cuGraphExecDestroy", Need::kContext, [&](FakeDriver& driver) {
    if (driver.executables.Find(handle) == nullptr) {
      return driver.Misuse("cuGraphExecDestroy", "no such graph", abi::kInvalidHandle);
    }
    driver.executables.Remove(handle);
    return abi::kSuccess;
  });
}

NINC_FAKE cuGraphLaunch(abi::GraphExec handle, abi::Stream stream_handle) {
  return Enter("cuGraphLaunch", Need::kContext, [&](FakeDriver& driver) {
    const FakeGraphExec* executable = driver.executables.Find(handle);
    FakeStream* stream = driver.streams.Find(stream_handle);
    if (executable == nullptr || stream == nullptr) {
      return driver.Misuse("cuGraphLaunch", "no such graph or stream", abi::kInvalidHandle);
    }
    if (stream->capturing) return Invalidate(driver, "cuGraphLaunch", stream);
    for (const auto& node : executable->nodes) {
      stream->queue.push_back(node);
      ++stream->queued;
    }
    return abi::kSuccess;
  });
}
