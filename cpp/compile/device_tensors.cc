#include "compile/device_tensors.h"

namespace ninc {

DeviceTensors::DeviceTensors(std::vector<Tensor> tensors) : shared_(tensors.size()) {
  for (Tensor& tensor : tensors) host_.push_back(std::make_shared<Tensor>(std::move(tensor)));
}

SharedTensors DeviceTensors::Share() {
  shared_.assign(host_.size(), true);
  return {host_.begin(), host_.end()};
}

void DeviceTensors::Unshare() {
  if (OnDevice()) return;  // what is written to is the device's copy
  for (size_t i = 0; i < host_.size(); ++i) {
    if (!shared_[i]) continue;
    host_[i] = std::make_shared<Tensor>(*host_[i]);
    shared_[i] = false;
  }
}

void DeviceTensors::Replace(size_t index, std::shared_ptr<Tensor> values) {
  host_[index].swap(values);
  shared_[index] = false;
  device_stale_ = true;
}

void DeviceTensors::Swap(DeviceTensors* a, DeviceTensors* b) {
  for (size_t i = 0; i < b->size(); ++i) {
    std::swap(a->host_[i], b->host_[i]);
    const bool shared = a->shared_[i];
    a->shared_[i] = b->shared_[i];
    b->shared_[i] = shared;
  }
  a->device_stale_ = b->device_stale_ = true;
}

Status DeviceTensors::Fetch() {
  if (pending_ != nullptr && !device_.empty()) {
    for (size_t i = 0; i < host_.size(); ++i) {
      if (shared_[i]) {  // readers keep what they have
        host_[i] = std::make_shared<Tensor>(
            Tensor{host_[i]->dims, std::vector<float>(host_[i]->data.size())});
        shared_[i] = false;
      }
      std::vector<float>& data = host_[i]->data;
      NINC_RETURN_IF_ERROR(pending_->Read(data.data(), this->data(i), data.size() * sizeof(float)));
    }
  }
  pending_ = nullptr;  // only now: after a failure the host's copies are still old
  return {};
}

Status DeviceTensors::MakeReady(const std::shared_ptr<Backend>& backend, const Backend* stream,
                                const char* what) {
  if (backend_ != backend) {
    NINC_RETURN_IF_ERROR(Fetch());
    DeviceMemory memory;
    std::vector<size_t> offsets;
    if (!backend->SharesMemory()) {
      size_t bytes = 0;
      for (const auto& tensor : host_) {
        offsets.push_back(bytes);
        bytes += WorkspaceSize::Aligned(tensor->data.size() * sizeof(float));
      }
      NINC_ASSIGN_OR_RETURN(memory, backend->Allocate(what, bytes));
    }
    backend_ = backend;
    device_ = std::move(memory);
    offsets_ = std::move(offsets);
    device_stale_ = true;
  }
  if (pending_ != nullptr && pending_.get() != stream) {
    NINC_RETURN_IF_ERROR(pending_->Synchronize());
  }
  if (device_stale_ && !device_.empty()) NINC_RETURN_IF_ERROR(Upload(*backend));
  device_stale_ = false;
  return {};
}

Status DeviceTensors::Upload(Backend& backend) {
  for (size_t i = 0; i < host_.size(); ++i) {
    const std::vector<float>& data = host_[i]->data;
    NINC_RETURN_IF_ERROR(backend.Write(this->data(i), data.data(), data.size() * sizeof(float)));
  }
  // Other streams may read at once.
  return backend.Synchronize();
}

}  // namespace ninc
