// A network's description from a stranger: read, written and read again, made and run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "fuzz/run_model.h"
#include "ninc/graph.h"
#include "ninc/model.h"

namespace ninc {

inline void FuzzGraph(const uint8_t* data, size_t size) {
  auto graph = Graph::FromJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!graph.ok()) return;
  const std::string text = graph->ToJson();
  const auto again = Graph::FromJson(text);
  if (!again.ok() || again->ToJson() != text) __builtin_trap();
  if (graph->NodeChannels().size() != graph->nodes().size()) __builtin_trap();
  (void)graph->CheckChannels();
  if (!IsModerate(graph.value())) return;
  const auto model = Model::Create(std::move(graph).value());
  if (!model.ok()) __builtin_trap();
  RunOnASmallPicture(*model.value());
}

}  // namespace ninc
