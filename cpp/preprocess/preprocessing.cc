// What a model says about its pictures, put to use.
#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/threads/cancel.h"
#include "base/memory_limit.h"
#include "base/threads/mutex.h"
#include "base/threads/thread_pool.h"
#include "ninc/preprocess.h"
#include "preprocess/settings.h"
#include "preprocess/whitening.h"
#include "run/check_arguments.h"
#include "run/model_impl.h"

namespace ninc {

struct Preprocessing::Impl {
  Framing framing;
  // Normalising gives pixel * factor + shift, one of each a channel.
  std::vector<float> factor, shift;
  // In their place, where it has arrays.
  Whitening whitening;
};

namespace {

// Of one picture more bytes than this are a mistake, and products of sizes stay far from overflow.
constexpr int64_t kMostBytes = int64_t{1} << 50;

Status CheckPictures(const Shape& pictures) {
  const auto fail = [&](const std::string& needed) {
    return InvalidShape("pictures: " + needed + ", got " + std::to_string(pictures.n) + "×" +
                        std::to_string(pictures.h) + "×" + std::to_string(pictures.w) + "×" +
                        std::to_string(pictures.c) + " (N×H×W×C)");
  };
  if (pictures.c != 1 && pictures.c != 3) return fail("expected 1 or 3 channels");
  for (const int64_t side : {pictures.h, pictures.w}) {
    if (side < 1 || side > kLargestSide) {
      return fail("expected a height and a width from 1 to " + std::to_string(kLargestSide));
    }
  }
  if (pictures.n < 0) return fail("expected no negative number of them");
  int64_t bytes = 0;
  if (__builtin_mul_overflow(pictures.h * pictures.w * pictures.c, pictures.n, &bytes) ||
      bytes > kMostBytes) {
    return fail("expected fewer bytes");
  }
  return {};
}

}  // namespace

Preprocessing::Preprocessing(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Result<Preprocessing> Preprocessing::Of(const Model& model) {
  return CatchOutOfMemory("preprocessing", [&]() -> Result<Preprocessing> {
    NINC_ASSIGN_OR_RETURN(const StoredState stored, model.Stored());
    const auto text = stored.metadata.find("preprocessing");
    if (text == stored.metadata.end()) {
      return InvalidArgument(
          "the network has no preprocessing for pictures stored; train it on pictures, or run it "
          "on N×C×H×W floats");
    }
    NINC_ASSIGN_OR_RETURN(const PictureSettings settings, ReadPictureSettings(text->second));
    auto impl = std::make_shared<Impl>();
    impl->framing = settings.framing;
    for (size_t c = 0; c < settings.mean.size(); ++c) {
      impl->factor.push_back(settings.Factor(c));
      impl->shift.push_back(settings.Shift(c));
    }
    if (settings.whitens) {
      const Framing& framing = settings.framing;
      const int64_t values = framing.height * framing.width * framing.channels;
      NINC_ASSIGN_OR_RETURN(impl->whitening,
                            Whitening::Of(stored.extras, settings.contrast, values));
    }
    return Preprocessing(std::move(impl));
  });
}

int64_t Preprocessing::channels() const { return impl_->framing.channels; }

Result<Shape> Preprocessing::FramedShape(const Shape& pictures) const {
  NINC_RETURN_IF_ERROR(CheckPictures(pictures));
  const Framing& framing = impl_->framing;
  Shape framed{pictures.n, framing.height, framing.width, framing.channels};
  if (framing.TakesAnySize()) framed.h = pictures.h, framed.w = pictures.w;
  NINC_RETURN_IF_ERROR(CheckPictures(framed));
  return framed;
}

Status Preprocessing::Frame(const Shape& pictures, const uint8_t* pixels, uint8_t* framed) const {
  NINC_ASSIGN_OR_RETURN(const Shape shape, FramedShape(pictures));
  if (IsMissing(pixels, pictures)) return NullPointer("pixels", "the pictures' bytes");
  if (IsMissing(framed, pictures)) return NullPointer("framed", "room for the framed pictures");
  const int64_t from = pictures.h * pictures.w * pictures.c, to = shape.h * shape.w * shape.c;
  Mutex mutex;
  Status status;
  ParallelFor(GetNumThreads(), pictures.n, [&](int64_t i, int /*thread*/) {
    const Picture picture{pixels + i * from, pictures.h, pictures.w, pictures.c};
    const Status one = CatchOutOfMemory(
        "resized pictures", [&] { return ninc::Frame(impl_->framing, picture, framed + i * to); });
    if (one.ok()) return;
    const std::lock_guard lock(mutex);
    if (status.ok()) status = one;
  });
  return IsCancelled() ? Cancelled() : status;
}

Status Preprocessing::Run(Model& model, const Shape& framed_shape, const uint8_t* framed,
                          float* y) const {
  NINC_RETURN_IF_ERROR(CheckPictures(framed_shape));
  const Framing& framing = impl_->framing;
  const bool has_size = framing.TakesAnySize() ||
                        (framed_shape.h == framing.height && framed_shape.w == framing.width);
  if (!has_size || framed_shape.c != framing.channels) {
    return InvalidShape("preprocessing: pictures must be framed first, got " +
                        framed_shape.ToString());
  }
  if (IsMissing(framed, framed_shape)) return NullPointer("framed", "the framed pictures' bytes");
  const Whitening& whitening = impl_->whitening;
  if (whitening.matrix == nullptr) {
    const Pictures view{framed, impl_->factor.data(), impl_->shift.data()};
    return model.RunPictures(framed_shape, view, y);
  }
  return CatchOutOfMemory("whitening", [&]() -> Status {
    if (framed_shape.n == 0) return {};
    NINC_ASSIGN_OR_RETURN(
        const AlignedBuffer x,
        Allocate("whitened pictures", static_cast<size_t>(framed_shape.size()) * sizeof(float)));
    NINC_RETURN_IF_ERROR(whitening.Apply(framed_shape, framed, x.as<float>()));
    const int64_t plane = framed_shape.h * framed_shape.w;
    const StridedView view{x.as<float>(), {framed_shape.c * plane, plane, framed_shape.w, 1}};
    return model.Run(framed_shape, view, y);
  });
}

}  // namespace ninc
