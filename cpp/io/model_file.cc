// Model files: safetensors whose metadata hold, beside what users stored,
//     "format": "ninc", "format_version": "1", "2" or "3", "graph": Graph::ToJson()
// and whose arrays are the graph's parameters and buffers, each of them, under their own names, and
// from version 2 on extras, each under its name and ":extra". A parameter's name
// ends in '.' and a field of its layer ("conv1.weight"), and no field has a ':', so that the two
// never meet, whatever nodes and extras are called. In version 3 the stored preprocessing says how
// pictures are framed (stored_texts.h). A file is written as the lowest version that says all it
// holds, and older readers refuse the others: those of versions 1 and 2 would cut pictures that are
// to be padded, turn none and lay none on a ground.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <map>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/half.h"
#include "base/memory_limit.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "io/stored_texts.h"
#include "ninc/model.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

constexpr char kFormatKey[] = "format";
constexpr char kVersionKey[] = "format_version";
constexpr char kGraphKey[] = "graph";
constexpr char kFormat[] = "ninc";
constexpr std::string_view kExtraSuffix = ":extra";
constexpr int kPlainVersion = 1, kExtrasVersion = 2, kFramingVersion = 3;
constexpr int kVersion = 3;  // the newest; rises when older readers would misunderstand a file

// Takes the entry out of `metadata`, so that what is left there is the user's.
Result<std::string> Take(std::map<std::string, std::string>* metadata, const char* key) {
  auto node = metadata->extract(key);
  if (node.empty()) {
    return InvalidModel("a safetensors file, but not a ninc model: its metadata have no '" +
                        std::string(key) + "'");
  }
  return std::move(node.mapped());
}

// The file's version.
Result<int> CheckFormat(std::map<std::string, std::string>* metadata) {
  NINC_ASSIGN_OR_RETURN(const std::string format, Take(metadata, kFormatKey));
  if (format != kFormat) {
    return InvalidModel("a safetensors file of format '" + Excerpt(format) + "', not a ninc model");
  }
  NINC_ASSIGN_OR_RETURN(const std::string text, Take(metadata, kVersionKey));
  int version = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, version);
  if (error != std::errc() || stop != end || version < 1) {
    return InvalidModel("format_version is '" + Excerpt(text) + "', expected a number");
  }
  if (version > kVersion) {
    const Status texts = CheckStoredTexts(*metadata);
    return InvalidModel("written by a newer ninc (format version " + text +
                        "; this one reads up to " + std::to_string(kVersion) +
                        "): update ninc to read it" + (texts.ok() ? "" : "; " + texts.message()));
  }
  return version;
}

// Moves the extras' entries after the others'; gives the number of the others.
size_t SplitExtras(std::vector<safetensors::Entry>* entries) {
  const auto first_extra = std::stable_partition(
      entries->begin(), entries->end(),
      [](const safetensors::Entry& entry) { return !entry.name.ends_with(kExtraSuffix); });
  return static_cast<size_t>(first_extra - entries->begin());
}

// Finds each spec's entry: every parameter once, with its shape, and nothing else. Done before any
// memory is asked for in the graph's name, so that a small file cannot ask for much.
Result<std::vector<const safetensors::Entry*>> MatchEntries(
    const std::vector<ParameterSpec>& specs, std::span<const safetensors::Entry> entries) {
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
    return InvalidModel("tensor '" + Excerpt(by_name.begin()->first) +
                        "' belongs to no layer of the network");
  }
  return matched;
}

Result<std::shared_ptr<Model>> Build(std::string_view file) {
  NINC_ASSIGN_OR_RETURN(safetensors::Contents contents, safetensors::Parse(file));
  NINC_ASSIGN_OR_RETURN(const int version, CheckFormat(&contents.metadata));
  NINC_ASSIGN_OR_RETURN(const std::string text, Take(&contents.metadata, kGraphKey));
  NINC_RETURN_IF_ERROR(CheckStoredTexts(contents.metadata));
  NINC_ASSIGN_OR_RETURN(Graph graph, Graph::FromJson(text));
  const std::span<const safetensors::Entry> all = contents.entries;
  const size_t own = version == kPlainVersion ? all.size() : SplitExtras(&contents.entries);
  NINC_ASSIGN_OR_RETURN(const std::vector<const safetensors::Entry*> entries,
                        MatchEntries(graph.ParameterSpecs(), all.first(own)));
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, Model::Create(std::move(graph)));
  for (const safetensors::Entry* entry : entries) {
    // One at a time: a second copy of one array in memory, not of all.
    NINC_RETURN_IF_ERROR(model->SetParameters({{entry->name, entry->Values()}}));
  }
  uint64_t extra_bytes = 0;
  for (const safetensors::Entry& entry : all.subspan(own)) extra_bytes += entry.bytes.size();
  NINC_RETURN_IF_ERROR(CheckMemory("extras", extra_bytes));
  for (const safetensors::Entry& entry : all.subspan(own)) {
    const std::string name = entry.name.substr(0, entry.name.size() - kExtraSuffix.size());
    const Status status = model->SetExtra(name, {entry.dims, entry.Values()});
    if (!status.ok()) return InvalidModel(status.message());
  }
  for (auto& [key, text] : contents.metadata) model->SetMetadata(key, std::move(text));
  return model;
}

int LowestVersion(const std::map<std::string, std::string>& metadata, const Extras& extras) {
  if (HasFraming(metadata)) return kFramingVersion;
  return extras.empty() ? kPlainVersion : kExtrasVersion;
}

std::string_view Bytes(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size() * sizeof(float)};
}

// `own`, and after it or in place of it what `more` adds.
template <typename Value>
std::map<std::string, Value> Merged(const std::map<std::string, Value>& own,
                                    const std::map<std::string, Value>& more) {
  std::map<std::string, Value> merged = more;
  merged.insert(own.begin(), own.end());
  return merged;
}

// Whether a file keeps an array in the storage that is asked for: arrays of one dimension are
// small, a variance may be beyond float16, and a constant is what somebody wrote.
bool IsStored(const ParameterSpec& spec) { return spec.trainable && spec.dims.size() >= 2; }

// An array's bytes in a storage of two bytes, or why they cannot be.
Result<std::string> Halves(const std::string& name, const std::vector<float>& values,
                           Storage storage) {
  const bool small = storage == Storage::kFloat16;
  for (const float value : values) {
    const float kept = small ? FromFloat16(ToFloat16(value)) : FromBfloat16(ToBfloat16(value));
    if (std::isfinite(kept) == std::isfinite(value)) continue;
    return InvalidArgument("tensor '" + name + "' has " + std::to_string(value) +
                           (small
                                ? ", which is beyond float16 (65504); bfloat16 has float32's range"
                                : ", which is beyond bfloat16"));
  }
  return safetensors::Packed(values, storage);
}

Status Write(const Model& model, const std::string& path, const Additions& more, Storage storage) {
  NINC_ASSIGN_OR_RETURN(const ModelState state, model.State());
  std::map<std::string, std::string> metadata = Merged(state.metadata, more.metadata);
  const Extras extras = Merged(state.extras, more.extras);
  const Status texts = CheckStoredTexts(metadata);  // what is written must be read again
  if (!texts.ok()) return InvalidArgument(texts.message());
  for (const char* key : {kFormatKey, kVersionKey, kGraphKey}) {
    if (metadata.count(key) != 0) {
      return InvalidArgument("metadata '" + std::string(key) + "' is a name ninc uses itself");
    }
  }
  metadata[kFormatKey] = kFormat;
  metadata[kVersionKey] = std::to_string(LowestVersion(metadata, extras));
  metadata[kGraphKey] = model.graph().ToJson();

  std::vector<safetensors::Entry> entries;
  std::vector<std::string_view> pieces(1);  // the header, once it is known
  std::deque<std::string> halves;           // which the pieces point into
  for (size_t i = 0; i < model.specs().size(); ++i) {
    const ParameterSpec& spec = model.specs()[i];
    entries.push_back({spec.name, spec.dims, {}});
    if (storage == Storage::kFloat32 || !IsStored(spec)) {
      pieces.push_back(Bytes(*state.parameters[i]));
      continue;
    }
    NINC_ASSIGN_OR_RETURN(std::string bytes, Halves(spec.name, state.parameters[i]->data, storage));
    entries.back().storage = storage;
    halves.push_back(std::move(bytes));
    pieces.push_back(halves.back());
  }
  for (const auto& [name, values] : extras) {
    if (values == nullptr) return InvalidArgument("extra '" + name + "' has no array");
    NINC_RETURN_IF_ERROR(CheckExtra(name, *values));
    entries.push_back({name + std::string(kExtraSuffix), values->dims, {}});
    pieces.push_back(Bytes(*values));
  }
  NINC_ASSIGN_OR_RETURN(const std::string header, safetensors::MakeHeader(metadata, entries));
  pieces.front() = header;
  return WriteFileAtomically(path, pieces);
}

// Turns the one exception that the standard library's containers throw into a Status.
template <typename Function>
auto CatchNoMemory(const std::string& name, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return OutOfMemory(name + ": not enough memory for the model");
  }
}

}  // namespace

Result<std::shared_ptr<Model>> Load(const std::string& path) {
  return CatchNoMemory(path, [&]() -> Result<std::shared_ptr<Model>> {
    NINC_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, safetensors::kMaxFileBytes));
    return LoadMemory(file.data(), file.size(), path);
  });
}

Result<std::shared_ptr<Model>> LoadMemory(const void* data, size_t size, const std::string& name) {
  if (data == nullptr && size > 0) {
    return InvalidArgument(name + ": data is a null pointer; it must point to the file's " +
                           std::to_string(size) + " bytes");
  }
  return CatchNoMemory(name, [&]() -> Result<std::shared_ptr<Model>> {
    Result<std::shared_ptr<Model>> model =
        Build(std::string_view(static_cast<const char*>(data), size));
    if (!model.ok()) return model.status().At(name);
    return model;
  });
}

Status Save(const Model& model, const std::string& path, const Additions& more, Storage storage) {
  NINC_RETURN_IF_ERROR(CheckFileName("write", path));  // before others' messages begin with it
  return CatchNoMemory(path, [&] {
    const Status status = Write(model, path, more, storage);
    // System errors name the path already.
    return status.code() == StatusCode::kIo ? status : status.At(path);
  });
}

}  // namespace ninc
