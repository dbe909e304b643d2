// What every operation of a graph has to say. OpRule and Gradient are declared for all types and
// defined beside each operation and step, so that an operation without a shape rule, and a step
// without a gradient, do not compile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "ninc/graph.h"
#include "ninc/status.h"
#include "ninc/tensor.h"
#include "ops/rule/channels.h"
#include "ops/rule/shape_rule.h"
#include "ops/rule/step.h"

namespace ninc {

// What an operation is called, and how many inputs it takes.
struct OpFace {
  static constexpr size_t kAny = std::numeric_limits<size_t>::max();
  std::string_view name;  // in the JSON form, "Conv2d"
  std::string_view stem;  // of its nodes' names: "conv" for conv1, conv2, ...
  // One of it is the rule in a network, so that the first goes without a number: gap, then gap2.
  bool once = false;
  size_t least_inputs = 1, most_inputs = 1;
};

// Which places of its inputs' maps a place of an operation's output is made of.
enum class Places {
  kKept,   // the same place of each
  kWhole,  // all of them: the output has one place
  kMoved,  // others, which follow from its fields, as a window's do
};

// A parameter (trained) or a buffer that an operation asks for, "weight".
struct ParameterField {
  const char* name;
  std::vector<int64_t> dims;
  float initial = 0.0f;  // what it holds until weights are drawn or loaded
  bool trainable = true;
};

using Shapes = std::span<const Shape>;  // of a node's inputs

template <class... Steps>
struct StepList {};
template <class Step, class... Steps>
constexpr bool IsOneOf(StepList<Steps...>) {
  return (std::is_same_v<Step, Steps> || ...);
}
template <class Step, class List>
concept OneOf = IsOneOf<Step>(List());

// template <> struct OpRule<op::X> has
//   static constexpr OpFace kFace
//   using Steps = StepList<...>   the steps that its file defines
//   VisitFields(X&, visitor)      calls the visitor for each field:
//                                   Integer(name, value, lowest)   lowest: the smallest one allowed
//                                   Integers(name, array of pointers, lowest)
//                                   Real(name, value, fits, range) fits: whether it lies in `range`
//                                   Flag(name, value)
//   Check(const X&)               what must hold between fields; empty where it does
//   Parameters(const X&)          the ParameterFields, trained ones first
//   Takes(const X&)               how many channels it takes of its first input, as Taken
//   Gives(const X&, of)           how many it gives, as Channels; `of` is the ChannelWalk of
//                                 graph/channels.h, which knows those of its inputs and learns from
//                                 operations whose inputs must go together
//   kPlaces                       which places of its inputs an output's place is made of
//   ClassesPass(const X&)         whether channel c of the output belongs to the class of channel c
//                                 of its input, however many there are, even where other channels
//                                 play a part, as in a softmax: it may then stand behind a
//                                 network's classes. Whoever asks sees to it that only one of its
//                                 inputs has classes, and that others have one channel for all of
//                                 these
//   OutputShape(const X&, Shapes) the output's shape, or why the inputs do not fit
//   Lower(const X&, NodeId, to)   emits the node's steps; `to` is the Lowering of compile/lower.cc
// and where it applies
//   AsActivation(const X&)        what it does to each element: it can be part of another step
//   kConvolution                  it is computed as a convolution
//   kChannelsField                the field that says how many channels it gives
//   kOneBatch                     its inputs have as many pictures each, and a constant's one does
//                                 not stand for those of others
// The bases below serve operations that have nothing to say to some of these.
template <class X>
struct OpRule;

// template <> struct Gradient<step::X> has
//   Of(const step::X&, to)   emits the steps that turn the gradient of the step's result into its
//                            operands'; `to` is the Differentiation of compile/autodiff.cc
// or is one of the two bases below.
template <class Step>
struct Gradient;

// Of steps that stand in no forward program: differentiation or fusion makes them later, or
// training does without them.
struct NoGradient {};

// Of forward steps whose operands depend on no trained parameter, or whose gradient is another
// step's business.
struct StopsGradient {
  static void Of(const auto& /*step*/, auto& /*to*/) {}
};

struct NoCheck {
  static std::string Check(const auto& /*op*/) { return {}; }
};
struct NoFields : NoCheck {
  static void VisitFields(auto& /*op*/, auto& /*visit*/) {}
};
struct NoParameters {
  static std::vector<ParameterField> Parameters(const auto& /*op*/) { return {}; }
};
struct TakesAnyChannels {
  static Taken Takes(const auto& /*op*/) { return {}; }
};
// Of those whose output has the shape of their one input and is made of it place by place. One that
// takes a certain number of channels has a Takes of its own.
struct KeepsShape : TakesAnyChannels {
  static constexpr Places kPlaces = Places::kKept;
  static Channels Gives(const auto& /*op*/, const auto& of) { return of.x(0); }
  template <class X>
  static Result<Shape> OutputShape(const X& op, Shapes x) {
    NINC_RETURN_IF_ERROR(ExpectChannels(OpRule<X>::Takes(op), x[0]));
    return x[0];
  }
};
struct KeepsClasses {
  static bool ClassesPass(const auto& /*op*/) { return true; }
};
struct EndsClasses {
  static bool ClassesPass(const auto& /*op*/) { return false; }
};

// Calls f(rule, fields) with an operation's OpRule and its struct.
template <class AnyOp, class F>
decltype(auto) VisitOp(AnyOp& op, F f) {
  return std::visit(
      [&](auto& fields) -> decltype(auto) {
        return f(OpRule<std::remove_cvref_t<decltype(fields)>>(), fields);
      },
      op);
}

}  // namespace ninc
