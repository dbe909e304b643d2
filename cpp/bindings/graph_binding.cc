// Networks in the making, and what operations say of themselves.
#include "ninc/graph.h"

#include <pybind11/pybind11.h>

#include <string>

#include "bindings/module.h"
#include "bindings/status.h"
#include "graph/channels.h"
#include "graph/facts.h"

namespace ninc::python {
namespace {

namespace py = pybind11;

// A network to which nodes are added: what cannot stand behind the others is told as it comes. One
// that has refused a node is of no further use.
class Draft {
 public:
  Draft() = default;
  Draft(const Draft&) = delete;  // the walk refers to the graph beside it

  void Add(const std::string& nodes_json) {
    size_t id = size();
    Check(graph_.AddJson(nodes_json));
    for (; id < size(); ++id) Check(walk_.Visit(static_cast<NodeId>(id)));
  }
  size_t size() const { return graph_.nodes().size(); }

 private:
  Graph graph_;
  ChannelWalk walk_{graph_};
};

py::dict Operations() {
  py::dict operations;
  for (const OpFacts& facts : FactsOfAll()) {
    py::dict said;
    said["stem"] = facts.stem;
    said["once"] = facts.once;
    said["places"] = facts.places;
    said["channels_field"] = facts.channels_field;
    operations[py::str(facts.name)] = said;
  }
  return operations;
}

}  // namespace

void DefineGraphs(py::module_& module) {
  module.attr("OPERATIONS") = Operations();
  py::class_<Draft>(module, "Draft")
      .def(py::init<>())
      .def("__len__", &Draft::size)
      .def("add", &Draft::Add, py::arg("nodes_json"));
}

}  // namespace ninc::python
