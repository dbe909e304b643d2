// Runs a few instructions in one warp, for tests of single opcodes.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda_emulator/machine/launch.h"

namespace ninc::emulator {

// A kernel of the given parameters and body, with registers of every kind at hand: %p, %h (16
// bits), %r, %f, %rd, %d, numbered from 0 to 31.
inline std::string KernelText(const std::string& parameters, const std::string& body,
                              const std::string& before = "") {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + before + ".visible .entry test(" +
         parameters +
         ")\n{\n.reg .pred %p<32>; .reg .b16 %h<32>; .reg .b32 %r<32>; .reg .f32 %f<32>;"
         " .reg .b64 %rd<32>; .reg .f64 %d<32>;\n" +
         body + "\nret;\n}\n";
}

template <typename T>
std::string BitsOf() {
  return ".b" + std::to_string(8 * sizeof(T));
}

template <typename T>
void AddParameter(std::vector<std::byte>* parameters, T value) {
  parameters->resize((parameters->size() + sizeof(T) - 1) / sizeof(T) * sizeof(T));
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  parameters->insert(parameters->end(), bytes, bytes + sizeof(T));
}

// The results %to, of type D, of `body` in the lanes of one warp, whose values of %a, %b and %c
// (of the inputs' types) are the inputs', begun anew where they are shorter than a warp. As many
// results are returned as the first input has values. Numbers of 8 bits have registers of 16.
template <typename D, typename... Inputs>
std::vector<D> LanesOf(const std::string& body, const std::vector<Inputs>&... inputs) {
  constexpr const char* kNames[] = {"%a", "%b", "%c"};
  GlobalMemory memory;
  std::vector<std::byte> parameters;
  std::string head;
  std::string names;
  size_t index = 0;
  size_t count = 0;
  const auto load = [&]<typename T>(const std::vector<T>& values) {
    if (count == 0) count = values.size();
    std::vector<T> lanes(32);
    for (size_t lane = 0; lane < 32; ++lane) lanes[lane] = values[lane % values.size()];
    const uint64_t address = memory.Allocate(32 * sizeof(T), std::string("input ") + kNames[index]);
    EXPECT_TRUE(memory.Write(address, lanes.data(), 32 * sizeof(T)).ok());
    AddParameter(&parameters, address);
    const std::string size = std::to_string(sizeof(T));
    names += ".param .u64 in" + std::to_string(index) + ", ";
    head += ".reg .b" + std::to_string(std::max<size_t>(16, 8 * sizeof(T))) + " " + kNames[index] +
            "; ld.param.u64 %rd31, [in" + std::to_string(index) +
            "]; mov.u32 %r31, %tid.x; mad.wide.u32 %rd31, %r31, " + size + ", %rd31; ld.global" +
            BitsOf<T>() + " " + kNames[index] + ", [%rd31];\n";
    ++index;
  };
  (load(inputs), ...);
  const uint64_t out = memory.Allocate(32 * sizeof(D), "output");
  AddParameter(&parameters, out);
  const std::string text = KernelText(
      names + ".param .u64 out",
      ".reg .b" + std::to_string(std::max<size_t>(16, 8 * sizeof(D))) + " %to;\n" + head + body +
          "\nld.param.u64 %rd31, [out]; mov.u32 %r31, %tid.x; mad.wide.u32 %rd31, %r31, " +
          std::to_string(sizeof(D)) + ", %rd31; st.global" + BitsOf<D>() + " [%rd31], %to;");
  auto module = Module::Parse(text);
  if (!module.ok()) {
    ADD_FAILURE() << module.status().message() << "\n" << text;
    return std::vector<D>(count);
  }
  EXPECT_TRUE((*module)->Place(&memory).ok());
  Launch launch{.function = (*module)->Find("test"), .block = {32, 1, 1}, .parameters = parameters};
  const auto fault = Run(launch, memory, nullptr);
  EXPECT_FALSE(fault) << fault->message;
  std::vector<D> results(32);
  const Status status = memory.Read(results.data(), out, 32 * sizeof(D));
  EXPECT_TRUE(status.ok()) << status.message();
  results.resize(count == 0 ? 32 : std::min<size_t>(count, 32));
  return results;
}

template <typename T>
std::vector<T> Values(std::initializer_list<T> values) {
  return values;
}

// The numbers 0 to 31, as most tests need one for each lane.
template <typename T>
std::vector<T> LaneNumbers() {
  std::vector<T> values(32);
  for (int i = 0; i < 32; ++i) values[static_cast<size_t>(i)] = static_cast<T>(i);
  return values;
}

}  // namespace ninc::emulator
