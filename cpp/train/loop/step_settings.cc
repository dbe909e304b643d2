// One optimiser for all of a network's parameters, with exceptions by name.
#include "compile/update.h"
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

// What all optimisers have. `name`: for messages, "sgd".
struct Common {
  const char* name;
  double lr, weight_decay, clip_norm;
  const std::vector<OptimizerGroup>& groups;
};

Status ApplyGroup(const std::vector<ParameterSpec>& specs, double lr, const OptimizerGroup& group,
                  std::vector<ParameterUpdate>* updates) {
  bool any = false;
  for (size_t i = 0; i < updates->size(); ++i) {
    if (!Matches(group.pattern, specs[i].name)) continue;
    any = true;
    if (group.lr_mult) (*updates)[i].lr = static_cast<float>(lr * *group.lr_mult);
    if (group.weight_decay) {
      (*updates)[i].weight_decay = static_cast<float>(*group.weight_decay);
    }
  }
  if (any) return {};
  return InvalidArgument("groups: '" + group.pattern + "' matches none of the network's " +
                         std::to_string(updates->size()) + " trainable parameters" +
                         (specs.empty() ? "" : " (" + specs[0].name + ", ...)"));
}

// As the optimisers in Python ask.
Status NotNegative(const Common& common, const char* name, double value) {
  if (value >= 0) return {};
  return InvalidArgument(std::string(common.name) + ": " + name + " must be 0 or more, got " +
                         std::to_string(value));
}

Status Check(const Common& common) {
  NINC_RETURN_IF_ERROR(NotNegative(common, "lr", common.lr));
  NINC_RETURN_IF_ERROR(NotNegative(common, "weight_decay", common.weight_decay));
  for (const OptimizerGroup& group : common.groups) {
    NINC_RETURN_IF_ERROR(NotNegative(common, "lr_mult", group.lr_mult.value_or(0)));
    NINC_RETURN_IF_ERROR(NotNegative(common, "weight_decay", group.weight_decay.value_or(0)));
  }
  return {};
}

Result<StepSettings> Make(const Model& model, const Common& common, const UpdateRule& rule,
                          double lr_factor) {
  return CatchOutOfMemory("a step's settings", [&]() -> Result<StepSettings> {
    NINC_RETURN_IF_ERROR(Check(common));
    StepSettings settings;
    settings.rule = rule;
    settings.clip_norm = static_cast<float>(common.clip_norm);
    for (const ParameterSpec& spec : model.specs()) {  // trainable ones stand before the others
      if (!spec.trainable) break;
      settings.updates.push_back(
          {static_cast<float>(common.lr), static_cast<float>(common.weight_decay)});
    }
    for (const OptimizerGroup& group : common.groups) {
      NINC_RETURN_IF_ERROR(ApplyGroup(model.specs(), common.lr, group, &settings.updates));
    }
    // In float32, as Python multiplies them.
    for (ParameterUpdate& update : settings.updates) update.lr *= static_cast<float>(lr_factor);
    return settings;
  });
}

template <class AnyAdam>
Result<StepSettings> MakeAdam(const Model& model, const char* name, const AnyAdam& adam,
                              bool decoupled_decay, double lr_factor) {
  const rule::Adam rule{adam.beta1, adam.beta2, adam.eps, decoupled_decay};
  NINC_RETURN_IF_ERROR(CheckRule(rule).At(name));
  return Make(model, {name, adam.lr, adam.weight_decay, adam.clip_norm, adam.groups}, rule,
              lr_factor);
}

}  // namespace

Result<StepSettings> MakeStepSettings(const Model& model, const Sgd& sgd, double lr_factor) {
  const Common common{"sgd", sgd.lr, sgd.weight_decay, sgd.clip_norm, sgd.groups};
  NINC_RETURN_IF_ERROR(NotNegative(common, "momentum", sgd.momentum));
  if (sgd.nesterov && sgd.momentum == 0) {
    return InvalidArgument("sgd: nesterov needs a momentum above 0");
  }
  const rule::Sgd rule{static_cast<float>(sgd.momentum), sgd.nesterov};
  return Make(model, common, rule, lr_factor);
}

Result<StepSettings> MakeStepSettings(const Model& model, const Adam& adam, double lr_factor) {
  return MakeAdam(model, "adam", adam, false, lr_factor);
}

Result<StepSettings> MakeStepSettings(const Model& model, const AdamW& adamw, double lr_factor) {
  return MakeAdam(model, "adamw", adamw, true, lr_factor);
}

}  // namespace ninc
