// How tests speak to the emulated driver: what libcuda.so.1 offers when it is ours. Found by name,
// so that a test links to no driver either.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <string>

namespace ninc::emulator {

class Control {
 public:
  // Whether the libcuda.so.1 that a program finds is the emulated one.
  static bool Present() { return Symbol("ninc_emulator_set") != nullptr; }

  // A setting of fake_driver.h: "fail_launch", 2. Those that count do so from now.
  static bool Set(const char* name, int64_t value) {
    return Function<int(const char*, int64_t)>("ninc_emulator_set")(name, value) == 1;
  }
  // Bytes of device memory in use, modules' variables included.
  static int64_t LiveBytes() { return Function<int64_t()>("ninc_emulator_live_bytes")(); }
  // Kernels run so far, replays included.
  static int64_t Launches() { return Function<int64_t()>("ninc_emulator_launches")(); }
  // Things not given back, each told on stderr.
  static int Leaks() { return Function<int()>("ninc_emulator_leaks")(); }
  // Calls that no correct program makes, each told on stderr when it was made.
  static int Misuses() { return Function<int()>("ninc_emulator_misuses")(); }
  // What the last failing kernel or copy did.
  static std::string LastFault() { return Function<const char*()>("ninc_emulator_last_fault")(); }
  // Counters by kernel, as JSON; and from zero again. Needs the setting "count".
  static std::string Report() { return Function<const char*()>("ninc_emulator_report")(); }
  static void ResetCounters() { Function<void()>("ninc_emulator_reset_counters")(); }

 private:
  static void* Symbol(const char* name) {
    static void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : nullptr;
  }
  template <typename Signature>
  static Signature* Function(const char* name) {
    return reinterpret_cast<Signature*>(Symbol(name));
  }
};

}  // namespace ninc::emulator
