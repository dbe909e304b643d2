// First weights. Normal numbers by Box and Muller ("A note on the generation of random normal
// deviates", 1958) from Philox, whose counter holds the number's place and its parameter's name:
// any number can be drawn without those before it, so that a layer's weights depend on no other
// layer and on no number of threads.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/memory_limit.h"
#include "base/philox.h"
#include "base/threads/float_mode.h"
#include "base/threads/thread_pool.h"
#include "ninc/cancel.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

// FNV-1a of 64 bits (Fowler, Noll, Vo).
uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3;
  return hash;
}

// (word + 1) / 2^32, in (0, 1]: a logarithm is taken of it.
double Uniform(uint32_t word) { return (word + 1.0) * 0x1p-32; }

// Four numbers of N(0, 1): those at places 4·block to 4·block + 3.
std::array<double, 4> Normals(uint64_t seed, uint64_t name, uint64_t block) {
  const PhiloxCounter words = Philox4x32(
      BlockCounter(block, name), {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  std::array<double, 4> normals;
  for (size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2.0 * std::log(Uniform(words[i])));
    const double angle = 2.0 * std::numbers::pi * Uniform(words[i + 1]);
    normals[i] = radius * std::cos(angle);
    normals[i + 1] = radius * std::sin(angle);
  }
  return normals;
}

std::vector<float> DrawNormal(uint64_t seed, const std::string& name, size_t count,
                              double deviation) {
  constexpr size_t kChunk = 4096;  // numbers a task; a multiple of the four of a block
  std::vector<float> values(count);
  const uint64_t hash = Hash(name);
  const auto chunks = static_cast<int64_t>((count + kChunk - 1) / kChunk);
  ParallelFor(GetNumThreads(), chunks, [&](int64_t chunk, int) {
    const size_t begin = static_cast<size_t>(chunk) * kChunk;
    const size_t end = std::min(begin + kChunk, count);
    for (size_t at = begin; at < end; at += 4) {
      const std::array<double, 4> normals = Normals(seed, hash, at / 4);
      for (size_t i = at; i < std::min(at + 4, end); ++i) {
        values[i] = static_cast<float>(deviation * normals[i - at]);
      }
    }
  });
  return values;
}

// O×I×R×S or O×I; biases and what batch norm has are no matrices.
bool IsWeight(const ParameterSpec& spec) { return spec.trainable && spec.dims.size() >= 2; }

// He, Zhang, Ren, Sun 2015, equation 10.
double HesDeviation(const ParameterSpec& spec) {
  double fan_in = 1.0;
  for (size_t i = 1; i < spec.dims.size(); ++i) fan_in *= static_cast<double>(spec.dims[i]);
  return std::sqrt(2.0 / fan_in);
}

Status CheckDeviations(const Model& model, const std::map<std::string, float>& stds) {
  for (const auto& [name, deviation] : stds) {
    const auto draws = [&, layer = name](const ParameterSpec& spec) {
      return IsWeight(spec) && model.graph().node(spec.node).name == layer;
    };
    if (std::none_of(model.specs().begin(), model.specs().end(), draws)) {
      return InvalidArgument("stds: '" + name +
                             "' is no convolution or linear layer of the network");
    }
    if (!(deviation >= 0) || !std::isfinite(deviation)) {
      return InvalidArgument("stds: the deviation of '" + name + "' must be 0 or more, got " +
                             std::to_string(deviation));
    }
  }
  return {};
}

}  // namespace

Status Model::InitializeParameters(uint64_t seed, const std::map<std::string, float>& stds) {
  return CatchOutOfMemory("first weights", [&]() -> Status {
    const CancellationScope whole(nullptr);  // weights that were drawn in part are no weights
    const ScopedFloatMode mode;              // for the deviations
    NINC_RETURN_IF_ERROR(CheckDeviations(*this, stds));
    uint64_t bytes = 0;
    for (const ParameterSpec& spec : specs())
      bytes += static_cast<uint64_t>(Tensor{spec.dims, {}}.size()) * sizeof(float);
    NINC_RETURN_IF_ERROR(CheckMemory("first weights", bytes));
    std::vector<std::pair<std::string, std::vector<float>>> values;
    for (const ParameterSpec& spec : specs()) {
      const auto size = static_cast<size_t>(Tensor{spec.dims, {}}.size());
      if (!IsWeight(spec)) {
        values.emplace_back(spec.name, std::vector<float>(size, spec.initial));
        continue;
      }
      const auto given = stds.find(graph().node(spec.node).name);
      const double deviation = given == stds.end() ? HesDeviation(spec) : given->second;
      values.emplace_back(spec.name, DrawNormal(seed, spec.name, size, deviation));
    }
    return SetParameters(std::move(values));
  });
}

}  // namespace ninc
