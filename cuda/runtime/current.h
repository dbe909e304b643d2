// Makes the process's context the calling thread's current one for a while, unless it is unusable,
// which status() tells. A thread that worked with another context, say of another library on
// another device, finds it current again afterwards; one that had none keeps ours.
#pragma once

#include "cuda/runtime/context.h"
#include "ninc/status.h"

namespace ninc::cuda {

class Current {
 public:
  explicit Current(Context& context) : driver_(context.driver()), status_(context.CheckUsable()) {
    if (!status_.ok()) return;
    abi::Result code = driver_.CtxGetCurrent(&before_);
    if (code == abi::kSuccess && before_ != context.handle()) {
      code = driver_.CtxSetCurrent(context.handle());
      changed_ = code == abi::kSuccess;
    }
    if (code != abi::kSuccess) status_ = context.Check(code, "cuda: entering the context");
  }
  ~Current() {
    if (changed_ && before_ != nullptr) driver_.CtxSetCurrent(before_);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

  const Status& status() const { return status_; }

 private:
  const Driver& driver_;
  abi::Context before_ = nullptr;
  bool changed_ = false;
  Status status_;
};

}  // namespace ninc::cuda
