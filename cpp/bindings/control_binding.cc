// Threads, instruction sets, the build, and the machine's limit.
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/memory_limit.h"
#include "base/threads/thread_pool.h"
#include "bindings/module.h"
#include "bindings/status.h"
#include "bindings/without_gil.h"
#include "ninc/backend.h"
#include "ninc/benchmark.h"
#include "ninc/target.h"

namespace ninc::python {
namespace {

namespace py = pybind11;

py::dict BuildInfo() {
  py::dict info;
  info["version"] = NINC_VERSION;
  info["compiler"] = __VERSION__;
  info["cuda"] = CudaTargets();
  return info;
}

Pass PassNamed(const std::string& name) {
  if (name == "forward") return Pass::kForward;
  if (name == "backward_data") return Pass::kBackwardData;
  if (name == "backward_weights") return Pass::kBackwardWeights;
  throw StatusError(InvalidArgument(
      "time_conv2d: expected forward, backward_data or backward_weights, got '" + name + "'"));
}

ConvMethod MethodNamed(const std::string& name) {
  if (name == "auto") return ConvMethod::kAuto;
  if (name == "direct") return ConvMethod::kDirect;
  if (name == "winograd4") return ConvMethod::kWinograd4;
  if (name == "winograd6") return ConvMethod::kWinograd6;
  if (name == "winograd8") return ConvMethod::kWinograd8;
  if (name == "split") return ConvMethod::kSplit;
  throw StatusError(InvalidArgument(
      "time_conv2d: expected method auto, direct, winograd4, winograd6, winograd8 or split, got '" +
      name + "'"));
}

// -> FLOPs counted as direct convolution, seconds of each run
py::tuple TimeConvolution(std::array<int64_t, 4> input, int64_t out_channels,
                          std::array<int64_t, 2> kernel, std::array<int64_t, 2> stride,
                          std::array<int64_t, 4> padding, std::array<int64_t, 2> dilation,
                          int64_t groups, const std::string& which, int repeats, int threads,
                          const std::string& method) {
  const Conv2dProblem problem{.input = {input[0], input[2], input[3], input[1]},
                              .out_channels = out_channels,
                              .kernel_h = kernel[0],
                              .kernel_w = kernel[1],
                              .stride_h = stride[0],
                              .stride_w = stride[1],
                              .dilation_h = dilation[0],
                              .dilation_w = dilation[1],
                              .padding = {padding[0], padding[1], padding[2], padding[3]},
                              .groups = groups,
                              .method = MethodNamed(method)};
  const Pass pass = PassNamed(which);
  const std::vector<double> seconds =
      Unwrap(WithoutGil([&] { return TimeConv2d(problem, pass, repeats, threads); }));
  return py::make_tuple(problem.Flops(), seconds);
}

}  // namespace

void DefineControl(py::module_& module) {
  using py::arg;
  // A wrong environment is told where the library comes in, not at the first call.
  Check(TargetEnvironmentStatus());
  Check(NumThreadsEnvironmentStatus());
  module.attr("__version__") = NINC_VERSION;
  module.def("build_info", &BuildInfo);
  module.def("get_num_threads", &GetNumThreads);
  module.def(
      "set_num_threads",
      [](int threads) {
        if (threads < 1) {
          Check(InvalidArgument("set_num_threads: expected at least 1, got " +
                                std::to_string(threads)));
        }
        SetNumThreads(threads);
      },
      arg("threads"));
  module.def("devices", [] {
    py::list devices;
    for (const DeviceInfo& device : Devices()) {
      py::dict info;
      info["name"] = device.name;
      info["description"] = device.description;
      info["problem"] = device.problem;
      devices.append(info);
    }
    return devices;
  });
  // -> bytes, or None where the system does not say
  module.def("free_memory", []() -> std::optional<uint64_t> {
    const std::optional<FreeMemory> free = Unwrap(FreeForThisProcess());
    return free ? std::optional(free->bytes) : std::nullopt;
  });
  module.def("targets", [] {
    py::list names;
    for (Target target : SupportedTargets()) names.append(py::str(std::string(TargetName(target))));
    return names;
  });
  module.def("target", [] { return std::string(TargetName(ChosenTarget())); });
  module.def(
      "set_target", [](const std::string& name) { Check(SetTarget(name)); }, arg("name"));
  module.def(
      "measure_peak_gflops",
      [](int threads) { return WithoutGil([&] { return MeasurePeakGflops(threads); }); },
      arg("threads"));
  module.def("time_conv2d", &TimeConvolution, arg("input_shape"), arg("out_channels"),
             arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"), arg("groups"),
             arg("which"), arg("repeats"), arg("threads"), arg("method") = "auto");
}

}  // namespace ninc::python
