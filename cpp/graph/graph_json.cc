// The JSON form of a graph. Text comes from users and from files of unknown origin, so nothing is
// believed: every type, range and name is checked, and no exception leaves this file.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "graph/json_limits.h"
#include "ninc/graph.h"
#include "ops/ops.h"

namespace ninc {
namespace {

using Json = nlohmann::ordered_json;  // fields in the order written: text that people can compare

constexpr size_t kMaxTextInMessages = 60;

// A value as it stands in a message, cut where long.
std::string Show(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMaxTextInMessages) text = text.substr(0, kMaxTextInMessages) + "...";
  return text;
}

// Reads fields out of a node's object, notes the first problem and which keys it took.
class FieldReader {
 public:
  FieldReader(const Json& object, size_t keys_taken) : object_(object), taken_(keys_taken) {}

  void Integer(const char* name, int64_t& value, int64_t /*lowest*/) {
    if (const Json* json = Take(name)) ReadInteger(name, *json, value);
  }
  template <size_t N>
  void Integers(const char* name, const std::array<int64_t*, N>& values, int64_t /*lowest*/) {
    const Json* json = Take(name);
    if (json == nullptr) return;
    if (!json->is_array() || json->size() != N) {
      return Fail(name, "a list of " + std::to_string(N) + " integers", *json);
    }
    for (size_t i = 0; i < N; ++i) ReadInteger(name, (*json)[i], *values[i]);
  }
  void Real(const char* name, float& value, bool /*fits*/, const char* /*range*/) {
    const Json* json = Take(name);
    if (json == nullptr) return;
    if (!json->is_number()) return Fail(name, "a number", *json);
    // Past float's range it becomes infinite and fails the range check.
    value = static_cast<float>(json->get<double>());
  }
  void Flag(const char* name, bool& value) {
    const Json* json = Take(name);
    if (json == nullptr) return;
    if (!json->is_boolean()) return Fail(name, "true or false", *json);
    value = json->get<bool>();
  }

  const std::string& problem() const { return problem_; }
  bool TookAll() const { return taken_ == object_.size(); }
  bool Took(const std::string& key) const {
    return std::find(names_.begin(), names_.end(), key) != names_.end();
  }

 private:
  const Json* Take(const char* name) {
    const auto found = object_.find(name);
    if (found == object_.end()) return nullptr;
    ++taken_;
    names_.push_back(name);
    return &*found;
  }
  void ReadInteger(const char* name, const Json& json, int64_t& value) {
    const bool fits = json.is_number_unsigned()
                          ? json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()}
                          : json.is_number_integer();
    if (!fits) return Fail(name, "an integer", json);
    value = json.get<int64_t>();
  }
  void Fail(const char* name, const std::string& wanted, const Json& got) {
    if (problem_.empty())
      problem_ = std::string(name) + " must be " + wanted + ", got " + Show(got);
  }

  const Json& object_;
  size_t taken_;
  std::vector<std::string> names_;
  std::string problem_;
};

class FieldWriter {
 public:
  explicit FieldWriter(Json* object) : object_(*object) {}
  void Integer(const char* name, int64_t value, int64_t) { object_[name] = value; }
  template <size_t N>
  void Integers(const char* name, const std::array<int64_t*, N>& values, int64_t) {
    Json list = Json::array();
    for (const int64_t* value : values) list.push_back(*value);
    object_[name] = std::move(list);
  }
  // The shortest digits that read back as the same float: 1e-05, not 9.999999747378752e-06.
  void Real(const char* name, float value, bool, const char*) {
    char digits[32];
    const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    double shortest = value;
    std::from_chars(digits, end, shortest);
    object_[name] = shortest;
  }
  void Flag(const char* name, bool value) { object_[name] = value; }

 private:
  Json& object_;
};

// "Conv2d" -> Conv2d{}; false where there is no such operation.
bool MakeOp(std::string_view name, Op* op) {
  const auto make = [&]<class... Ops>(const std::variant<Ops...>&) {
    return ((OpRule<Ops>::kFace.name == name && (op->emplace<Ops>(), true)) || ...);
  };
  return make(*op);
}

// The string at object[key], or null where there is none.
const std::string* FindString(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

Result<std::vector<NodeId>> ReadInputs(const Json& object, const Graph& graph) {
  std::vector<NodeId> ids;
  const auto inputs = object.find("inputs");
  if (inputs == object.end()) return ids;
  if (!inputs->is_array()) return InvalidModel("inputs must be a list, got " + Show(*inputs));
  for (const Json& input : *inputs) {
    const std::string* name = input.get_ptr<const std::string*>();
    if (name == nullptr) return InvalidModel("inputs must be names, got " + Show(input));
    const Result<NodeId> id = graph.Find(*name);
    if (!id.ok()) return InvalidModel("input " + Show(input) + " is no earlier node");
    ids.push_back(id.value());
  }
  return ids;
}

Status ReadNode(const Json& object, size_t index, Graph* graph) {
  const std::string position = "node " + std::to_string(index);
  if (!object.is_object()) return InvalidModel(position + ": must be an object");
  const std::string* name = FindString(object, "name");
  if (name == nullptr) return InvalidModel(position + ": has no name");
  const std::string* type = FindString(object, "op");
  if (type == nullptr) return InvalidModel(*name + ": has no op");
  Op op;
  if (!MakeOp(*type, &op)) return InvalidModel(*name + ": unknown op " + Show(*type));

  const std::string label = *name + " (" + *type + ")";
  FieldReader reader(object, 2 + object.count("inputs"));
  VisitFields(op, reader);
  if (!reader.problem().empty()) return InvalidModel(label + ": " + reader.problem());
  if (!reader.TookAll()) {
    for (const auto& [key, value] : object.items()) {
      if (key == "name" || key == "op" || key == "inputs" || reader.Took(key)) continue;
      return InvalidModel(label + ": unknown field " + Show(key));
    }
  }
  Result<std::vector<NodeId>> inputs = ReadInputs(object, *graph);
  if (!inputs.ok()) return inputs.status().At(label);
  return graph->Add(*name, std::move(op), std::move(inputs).value()).status();
}

Status ReadOutputs(const Json& root, Graph* graph) {
  std::vector<NodeId> outputs{graph->output()};  // where none is named
  const auto read = [&](const Json& value, NodeId* output) -> Status {
    const std::string* name = value.get_ptr<const std::string*>();
    if (name == nullptr) return InvalidModel("output must be a node's name");
    const Result<NodeId> id = graph->Find(*name);
    if (!id.ok()) return InvalidModel("output " + Show(*name) + " is no node of the network");
    *output = id.value();
    return {};
  };
  const auto main = root.find("output");
  if (main != root.end()) NINC_RETURN_IF_ERROR(read(*main, &outputs[0]));
  const auto others = root.find("other_outputs");
  if (others != root.end()) {
    if (!others->is_array()) return InvalidModel("other_outputs must be a list of nodes' names");
    for (const Json& other : *others) NINC_RETURN_IF_ERROR(read(other, &outputs.emplace_back()));
  }
  if (main == root.end() && outputs.size() == 1) return {};
  const Status set = graph->SetOutputs(std::move(outputs));
  return set.ok() ? set : InvalidModel(set.message());
}

Status ReadNodes(const Json& nodes, Graph* graph) {
  if (!nodes.is_array() || nodes.empty()) return InvalidModel("a network needs a list of nodes");
  for (const Json& node : nodes) {
    NINC_RETURN_IF_ERROR(ReadNode(node, graph->nodes().size(), graph));
  }
  return {};
}

Result<Graph> ReadGraph(const Json& root) {
  if (!root.is_object()) return InvalidModel("a network must be a JSON object");
  for (const auto& [key, value] : root.items()) {
    if (key != "nodes" && key != "output" && key != "other_outputs") {
      return InvalidModel("unknown field " + Show(key));
    }
  }
  const auto nodes = root.find("nodes");
  Graph graph;
  NINC_RETURN_IF_ERROR(ReadNodes(nodes == root.end() ? Json() : *nodes, &graph));
  NINC_RETURN_IF_ERROR(ReadOutputs(root, &graph));
  return graph;
}

// What `read` makes of the text's tree.
template <class Read>
auto ReadText(std::string_view text, Read read) -> decltype(read(Json())) {
  try {
    NINC_RETURN_IF_ERROR(CheckGraphJson(text));
    return read(Json::parse(text));
  } catch (const std::bad_alloc&) {
    return OutOfMemory("no memory for a network's description of " + std::to_string(text.size()) +
                       " bytes");
  } catch (const nlohmann::json::exception& error) {
    return InvalidModel(std::string("the network's JSON: ") + error.what());
  }
}

}  // namespace

std::string Graph::ToJson() const {
  Json nodes = Json::array();
  for (const Node& node : nodes_) {
    Json object{{"name", node.name}, {"op", OpName(node.op)}};
    Json inputs = Json::array();
    for (NodeId input : node.inputs) inputs.push_back(nodes_[input].name);
    object["inputs"] = std::move(inputs);
    Op op = node.op;  // visitors take fields they could write
    FieldWriter writer(&object);
    VisitFields(op, writer);
    nodes.push_back(std::move(object));
  }
  Json root{{"nodes", std::move(nodes)}};
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const std::string& name = nodes_[outputs_[i]].name;
    if (i == 0) {
      root["output"] = name;
    } else {
      root["other_outputs"].push_back(name);
    }
  }
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status Graph::AddJson(std::string_view nodes) {
  return ReadText(nodes, [this](const Json& list) { return ReadNodes(list, this); });
}

Result<Graph> Graph::FromJson(std::string_view text) {
  return ReadText(text, [](const Json& root) { return ReadGraph(root); });
}

}  // namespace ninc
