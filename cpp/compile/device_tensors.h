// Named arrays that the user sees in the process's memory and a backend computes on in its own: a
// network's parameters, what an optimiser keeps of them, averages. Where the backend shares the
// process's memory there is one copy; else there are two, and this class knows which of them is
// newer.
//
// Readers share the process's copy: what Share gave out is never written to again. Who writes next
// makes a copy for itself, once, so that a reader costs no copy where nobody writes.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "ninc/backend.h"
#include "ninc/tensor.h"

namespace ninc {

// Not locked: its owner's lock keeps readers and writers apart.
class DeviceTensors {
 public:
  DeviceTensors() = default;
  explicit DeviceTensors(std::vector<Tensor> tensors);

  size_t size() const { return host_.size(); }
  bool empty() const { return host_.empty(); }

  // What the user sees, as last fetched.
  const Tensor& host(size_t index) const { return *host_[index]; }
  SharedTensors Share();
  // Brings the host's copies up to date.
  Status Fetch();
  // Puts an array of the same shape in another's place, after Fetch where not all are replaced.
  void Replace(size_t index, std::shared_ptr<Tensor> values);
  // Exchanges the first arrays of `a` with those of `b`, of which there are no more; both fetched.
  static void Swap(DeviceTensors* a, DeviceTensors* b);

  // Makes the arrays ready where `backend` computes, for calls of `stream`, which need not wait for
  // its own. `what` they are, for a message.
  Status MakeReady(const std::shared_ptr<Backend>& backend, const Backend* stream,
                   const char* what);
  // Before data() is written to. Where that is the process's memory, takes a copy for the writer
  // where readers hold it.
  void Unshare();
  // Whether data() lies in memory that is not the process's.
  bool OnDevice() const { return !device_.empty(); }
  // After MakeReady: the array's memory there.
  float* data(size_t index) {
    return device_.empty() ? host_[index]->data.data() : device_.as<float>(offsets_[index]);
  }
  const float* data(size_t index) const { return const_cast<DeviceTensors*>(this)->data(index); }
  // `stream` was told to write to data().
  void DeviceChanged(std::shared_ptr<Backend> stream) { pending_ = std::move(stream); }

 private:
  Status Upload(Backend& backend);

  std::vector<std::shared_ptr<Tensor>> host_;
  std::vector<bool> shared_;  // by array: whether readers may hold it
  std::shared_ptr<Backend> backend_;
  DeviceMemory device_;          // empty where the backend shares the process's memory
  std::vector<size_t> offsets_;  // by array, in bytes
  bool device_stale_ = true;
  std::shared_ptr<Backend> pending_;  // has work queued that makes the host's copy stale
};

}  // namespace ninc
