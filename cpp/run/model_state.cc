// What a model holds beside its graph: who reads it sees one moment of it, whatever others write
// meanwhile. The locks for that, and the texts and arrays that are stored beside the parameters.
#include <algorithm>
#include <mutex>
#include <utility>

#include "run/model_impl.h"

namespace ninc {

Status CheckExtra(const std::string& name, const Tensor& values) {
  constexpr size_t kMaxName = 1024, kMaxRank = 8;  // what readers of files take
  const auto forbidden = [](unsigned char c) {
    return c < 0x20 || c == 0x7F || c == '/' || c == '\\';
  };
  if (name.empty() || name.size() > kMaxName) {
    return InvalidArgument("an extra's name must have 1 to " + std::to_string(kMaxName) +
                           " bytes, got " + std::to_string(name.size()));
  }
  if (std::any_of(name.begin(), name.end(), forbidden)) {
    return InvalidArgument("an extra's name must have no '/', '\\' and control characters");
  }
  const std::string label = "extra '" + name + "': ";
  if (values.dims.size() > kMaxRank) {
    return InvalidShape(label + "expected at most " + std::to_string(kMaxRank) +
                        " dimensions, got " + std::to_string(values.dims.size()));
  }
  int64_t size = 1, product = sizeof(float);
  bool fits = true;
  for (int64_t dim : values.dims) {
    // An empty array's other extents must have a product too, as in files.
    fits =
        fits && dim >= 0 && !__builtin_mul_overflow(product, std::max<int64_t>(dim, 1), &product);
    if (fits) size *= dim;
  }
  if (!fits || values.data.size() != static_cast<size_t>(size)) {
    return InvalidShape(label + "shape " + DimsToString(values.dims) + " does not fit " +
                        std::to_string(values.data.size()) + " values");
  }
  return {};
}

// ---- Locks --------------------------------------------------------------------------------------

ModelState Model::Impl::StateNow() { return {{metadata, extras}, version, parameters.Share()}; }

Result<std::unique_lock<LongMutex>> Model::Impl::LockWriter() {
  if (writer_mutex.HeldByThisThread()) {
    return InvalidArgument(
        "this thread is in the middle of training the network: a handler of signals may run it, "
        "but not train or change it before the step ends");
  }
  return std::unique_lock(writer_mutex);
}

Result<Model::Impl::ReaderLock> Model::Impl::LockFetchedState() {
  ReaderLock lock{{}, std::unique_lock(state_mutex)};
  if (parameters.OnDevice()) {
    // A step under way is waited for where its device has to be; the writer's lock comes first.
    lock.state.unlock();
    NINC_ASSIGN_OR_RETURN(lock.writer, LockWriter());
    lock.state.lock();
  }
  NINC_RETURN_IF_ERROR(parameters.Fetch());
  return lock;
}

// ---- The public face ----------------------------------------------------------------------------

Result<ModelState> Model::State() const {
  return CatchOutOfMemory("state", [&]() -> Result<ModelState> {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->LockFetchedState());
    return impl_->StateNow();
  });
}

Result<StoredState> Model::Stored() const {
  return CatchOutOfMemory("state", [&]() -> Result<StoredState> {
    const std::lock_guard lock(impl_->state_mutex);
    return StoredState{impl_->metadata, impl_->extras};
  });
}

Tensor Model::parameter(size_t index) const {
  Tensor none{{0}, {}};
  if (index >= impl_->specs.size()) return none;
  const Result<Tensor> copy = CatchOutOfMemory("parameter", [&]() -> Result<Tensor> {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->LockFetchedState());
    return Tensor(impl_->parameters.host(index));
  });
  return copy.ok() ? *copy : none;
}

std::map<std::string, std::string> Model::metadata() const {
  const std::lock_guard lock(impl_->state_mutex);
  return impl_->metadata;
}

void Model::SetMetadata(const std::string& key, std::string text) {
  const std::lock_guard lock(impl_->state_mutex);
  impl_->metadata[key] = std::move(text);
}

Extras Model::extras() const {
  const std::lock_guard lock(impl_->state_mutex);
  return impl_->extras;
}

Status Model::SetExtra(const std::string& name, Tensor values) {
  return CatchOutOfMemory("extra", [&] {
    return Change({{}, {{name, std::make_shared<const Tensor>(std::move(values))}}});
  });
}

bool Model::RemoveExtra(const std::string& name) {
  const std::lock_guard lock(impl_->state_mutex);
  return impl_->extras.erase(name) != 0;
}

Status Model::Change(const StoredChanges& changes) {
  for (const auto& [name, values] : changes.extras) {
    if (values != nullptr) NINC_RETURN_IF_ERROR(CheckExtra(name, *values));
  }
  return CatchOutOfMemory("metadata", [&]() -> Status {
    const std::lock_guard lock(impl_->state_mutex);
    // Copies are changed and then exchanged, since memory may run out in between.
    std::map<std::string, std::string> metadata = impl_->metadata;
    Extras extras = impl_->extras;
    for (const auto& [key, text] : changes.metadata) {
      if (text) {
        metadata[key] = *text;
      } else {
        metadata.erase(key);
      }
    }
    for (const auto& [name, values] : changes.extras) {
      if (values != nullptr) {
        extras[name] = values;
      } else {
        extras.erase(name);
      }
    }
    impl_->metadata.swap(metadata);
    impl_->extras.swap(extras);
    return {};
  });
}

}  // namespace ninc
