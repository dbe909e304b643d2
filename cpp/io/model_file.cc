// Model files: safetensors whose metadata hold, beside what users stored,
//     "format": "ninc", "format_version": "1", "graph": Graph::ToJson()
// and whose arrays are the graph's parameters and buffers, each of them and nothing else.
#include <charconv>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "io/safetensors.h"
#include "ninc/model.h"

namespace ninc {
namespace {

constexpr char kFormatKey[] = "format";
constexpr char kVersionKey[] = "format_version";
constexpr char kGraphKey[] = "graph";
constexpr char kFormat[] = "ninc";
constexpr int kVersion = 1;  // rises when older readers would misunderstand a file
constexpr size_t kMaxFileBytes = size_t{4} << 30;

// Takes the entry out of `metadata`, so that what is left there is the user's.
Result<std::string> Take(std::map<std::string, std::string>* metadata, const char* key) {
  auto node = metadata->extract(key);
  if (node.empty()) {
    return InvalidModel("a safetensors file, but not a ninc model: its metadata have no '" +
                        std::string(key) + "'");
  }
  return std::move(node.mapped());
}

Status CheckFormat(std::map<std::string, std::string>* metadata) {
  NINC_ASSIGN_OR_RETURN(const std::string format, Take(metadata, kFormatKey));
  if (format != kFormat) {
    return InvalidModel("a safetensors file of format '" + format + "', not a ninc model");
  }
  NINC_ASSIGN_OR_RETURN(const std::string text, Take(metadata, kVersionKey));
  int version = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, version);
  if (error != std::errc() || stop != end || version < 1) {
    return InvalidModel("format_version is '" + text + "', expected a number");
  }
  if (version > kVersion) {
    return InvalidModel("written by a newer ninc (format version " + text +
                        "; this one reads up to " + std::to_string(kVersion) +
                        "): update ninc to read it");
  }
  return {};
}

// Finds each spec's entry: every parameter once, with its shape, and nothing else. Done before any
// memory is asked for in the graph's name, so that a small file cannot ask for much.
Result<std::vector<const safetensors::Entry*>> MatchEntries(
    const std::vector<ParameterSpec>& specs, const std::vector<safetensors::Entry>& entries) {
  std::map<std::string_view, const safetensors::Entry*> by_name;
  for (const safetensors::Entry& entry : entries) by_name[entry.name] = &entry;
  std::vector<const safetensors::Entry*> matched;
  matched.reserve(specs.size());
  for (const ParameterSpec& spec : specs) {
    const auto found = by_name.find(spec.name);
    if (found == by_name.end()) return InvalidModel("tensor '" + spec.name + "' is missing");
    if (found->second->dims != spec.dims) {
      return InvalidModel("tensor '" + spec.name + "': the network needs shape " +
                          DimsToString(spec.dims) + ", the file has " +
                          DimsToString(found->second->dims));
    }
    matched.push_back(found->second);
    by_name.erase(found);
  }
  if (!by_name.empty()) {
    return InvalidModel("tensor '" + std::string(by_name.begin()->first) +
                        "' belongs to no layer of the network");
  }
  return matched;
}

Result<std::shared_ptr<Model>> Build(std::string_view file) {
  NINC_ASSIGN_OR_RETURN(safetensors::Contents contents, safetensors::Parse(file));
  NINC_RETURN_IF_ERROR(CheckFormat(&contents.metadata));
  NINC_ASSIGN_OR_RETURN(const std::string text, Take(&contents.metadata, kGraphKey));
  NINC_ASSIGN_OR_RETURN(Graph graph, Graph::FromJson(text));
  NINC_ASSIGN_OR_RETURN(const std::vector<const safetensors::Entry*> entries,
                        MatchEntries(graph.ParameterSpecs(), contents.entries));
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, Model::Create(std::move(graph)));
  for (const safetensors::Entry* entry : entries) {
    // One at a time: a second copy of one array in memory, not of all.
    NINC_RETURN_IF_ERROR(model->SetParameters({{entry->name, entry->Values()}}));
  }
  model->metadata() = std::move(contents.metadata);
  return model;
}

std::string_view Bytes(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size() * sizeof(float)};
}

Status Write(const Model& model, const std::string& path) {
  std::map<std::string, std::string> metadata = model.metadata();
  for (const char* key : {kFormatKey, kVersionKey, kGraphKey}) {
    if (metadata.count(key) != 0) {
      return InvalidArgument("metadata '" + std::string(key) + "' is a name ninc uses itself");
    }
  }
  metadata[kFormatKey] = kFormat;
  metadata[kVersionKey] = std::to_string(kVersion);
  metadata[kGraphKey] = model.graph().ToJson();

  std::vector<safetensors::Entry> entries;
  std::vector<std::string_view> pieces(1);  // the header, once it is known
  for (size_t i = 0; i < model.specs().size(); ++i) {
    entries.push_back({model.specs()[i].name, model.specs()[i].dims, {}});
    pieces.push_back(Bytes(model.parameter(i)));
  }
  NINC_ASSIGN_OR_RETURN(const std::string header, safetensors::MakeHeader(metadata, entries));
  pieces.front() = header;
  return WriteFileAtomically(path, pieces);
}

// Turns the one exception that the standard library's containers throw into a Status.
template <typename Function>
auto CatchOutOfMemory(const std::string& name, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return OutOfMemory(name + ": not enough memory for the model");
  }
}

}  // namespace

Result<std::shared_ptr<Model>> Load(const std::string& path) {
  return CatchOutOfMemory(path, [&]() -> Result<std::shared_ptr<Model>> {
    NINC_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, kMaxFileBytes));
    return LoadMemory(file.data(), file.size(), path);
  });
}

Result<std::shared_ptr<Model>> LoadMemory(const void* data, size_t size, const std::string& name) {
  return CatchOutOfMemory(name, [&]() -> Result<std::shared_ptr<Model>> {
    Result<std::shared_ptr<Model>> model =
        Build(std::string_view(static_cast<const char*>(data), size));
    if (!model.ok()) return model.status().At(name);
    return model;
  });
}

Status Save(const Model& model, const std::string& path) {
  return CatchOutOfMemory(path, [&] {
    const Status status = Write(model, path);
    // System errors name the path already.
    return status.code() == StatusCode::kIo ? status : status.At(path);
  });
}

}  // namespace ninc
