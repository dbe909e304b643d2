// Arrays on their way in and out.
#include "cpu/compile.h"
#include "cpu/elementwise/elementwise.h"
#include "cpu/elementwise/layout.h"

namespace ninc::cpu {

// What the caller hands in is floats of any strides, or pictures.
Compiled Compile(const step::FromNchw& step, const Context& context) {
  const Shape to = context.shape(step.y);
  if (context.values[step.x].kind != ValueKind::kInput) {
    const std::array<int64_t, 4> strides{to.c * to.h * to.w, to.h * to.w, to.w, 1};
    return Kernel{[step, to, strides](const Run& run) {
      FromNchw(to, {run.In(step.x), strides}, run.Out(step.y), run.threads());
    }};
  }
  return Kernel{[step, to](const Run& run) {
    const Pictures& pictures = run.arguments().pictures;
    if (pictures.data != nullptr) {
      FromUint8(to, pictures.data, pictures.scale, pictures.shift, run.Out(step.y), run.threads());
    } else {
      FromNchw(to, run.arguments().x, run.Out(step.y), run.threads());
    }
  }};
}

Compiled Compile(const step::ToNchw& step, const Context& context) {
  return Kernel{[step, from = context.shape(step.x)](const Run& run) {
    ToNchw(from, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::CopyChannels& step, const Context& context) {
  return Kernel{[step, x = context.shape(step.x), y = context.shape(step.y)](const Run& run) {
    CopyChannels(x.pixels(), step.channels, run.In(step.x), x.c, step.x_offset, run.Out(step.y),
                 y.c, step.y_offset, run.threads());
  }};
}

}  // namespace ninc::cpu
