// One optimiser for all of a network's parameters, with exceptions by name.
#include "ninc/training.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

// Whether the whole name fits the pattern. A star first takes nothing and, where what follows does
// not fit, one character more each time; only the last star has to be gone back to.
bool Matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Status ApplyGroup(const std::vector<ParameterSpec>& specs, const Sgd& sgd, const Sgd::Group& group,
                  std::vector<ParameterUpdate>* updates) {
  bool any = false;
  for (size_t i = 0; i < updates->size(); ++i) {
    if (!Matches(group.pattern, specs[i].name)) continue;
    any = true;
    if (group.lr_mult) (*updates)[i].lr = static_cast<float>(sgd.lr * *group.lr_mult);
    if (group.weight_decay) {
      (*updates)[i].weight_decay = static_cast<float>(*group.weight_decay);
    }
  }
  if (any) return {};
  return InvalidArgument("groups: '" + group.pattern + "' matches none of the network's " +
                         std::to_string(updates->size()) + " trainable parameters" +
                         (specs.empty() ? "" : " (" + specs[0].name + ", ...)"));
}

// As ninc.SGD in Python asks.
Status CheckSgd(const Sgd& sgd) {
  const auto refuse = [](const char* name, double value) {
    return InvalidArgument(std::string("sgd: ") + name + " must be 0 or more, got " +
                           std::to_string(value));
  };
  if (!(sgd.lr >= 0)) return refuse("lr", sgd.lr);
  if (!(sgd.momentum >= 0)) return refuse("momentum", sgd.momentum);
  if (!(sgd.weight_decay >= 0)) return refuse("weight_decay", sgd.weight_decay);
  if (sgd.nesterov && sgd.momentum == 0) {
    return InvalidArgument("sgd: nesterov needs a momentum above 0");
  }
  for (const Sgd::Group& group : sgd.groups) {
    if (group.lr_mult && !(*group.lr_mult >= 0)) return refuse("lr_mult", *group.lr_mult);
    if (group.weight_decay && !(*group.weight_decay >= 0)) {
      return refuse("weight_decay", *group.weight_decay);
    }
  }
  return {};
}

}  // namespace

Result<StepSettings> MakeStepSettings(const Model& model, const Sgd& sgd, double lr_factor) {
  return CatchOutOfMemory("a step's settings", [&]() -> Result<StepSettings> {
    NINC_RETURN_IF_ERROR(CheckSgd(sgd));
    StepSettings settings;
    settings.momentum = static_cast<float>(sgd.momentum);
    settings.nesterov = sgd.nesterov;
    settings.clip_norm = static_cast<float>(sgd.clip_norm);
    for (const ParameterSpec& spec : model.specs()) {  // trainable ones stand before the others
      if (!spec.trainable) break;
      settings.updates.push_back(
          {static_cast<float>(sgd.lr), static_cast<float>(sgd.weight_decay)});
    }
    for (const Sgd::Group& group : sgd.groups) {
      NINC_RETURN_IF_ERROR(ApplyGroup(model.specs(), sgd, group, &settings.updates));
    }
    // In float32, as Python multiplies them.
    for (ParameterUpdate& update : settings.updates) update.lr *= static_cast<float>(lr_factor);
    return settings;
  });
}

}  // namespace ninc
