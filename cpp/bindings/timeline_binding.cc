// Timelines for Python: what the core did while a function of Python ran.
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>

#include "bindings/module.h"
#include "ninc/timeline.h"

namespace ninc::python {
namespace {

namespace py = pybind11;

int64_t Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

// -> thread, tasks, begin, end
py::list ToList(const std::vector<TimelineWork>& work) {
  py::list list;
  for (const TimelineWork& part : work) {
    list.append(py::make_tuple(part.thread, part.tasks, part.begin, part.end));
  }
  return list;
}

py::list ToList(const std::vector<TimelineLoop>& loops) {
  py::list list;
  for (const TimelineLoop& loop : loops) {
    py::dict named;
    named["begin"] = loop.begin;
    named["end"] = loop.end;
    named["work"] = ToList(loop.work);
    list.append(named);
  }
  return list;
}

py::list ToList(const Timeline& steps) {
  py::list list;
  for (const TimelineStep& step : steps) {
    py::dict named;
    named["kind"] = step.kind;
    named["layers"] = step.layers;
    named["flops"] = step.flops;
    named["algorithms"] = step.algorithms;
    named["begin"] = step.begin;
    named["end"] = step.end;
    named["loops"] = ToList(step.loops);
    list.append(named);
  }
  return list;
}

// Calls work(). -> by name its begin and its end, and the steps that this thread ran meanwhile
py::dict RecordTimeline(const py::function& work) {
  Timeline steps;
  const int64_t begin = Now();
  {
    const TimelineScope scope(&steps);
    work();
  }
  py::dict timeline;
  timeline["begin"] = begin;
  timeline["end"] = Now();
  timeline["steps"] = ToList(steps);
  return timeline;
}

}  // namespace

void DefineTimeline(py::module_& module) {
  module.def("record_timeline", &RecordTimeline, py::arg("work"));
}

}  // namespace ninc::python
