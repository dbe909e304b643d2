// Whether the core under test is sanitized. The tests need not be, and their objects are then those
// of a release: only the linker knows.
#pragma once

extern "C" __attribute__((weak)) void __asan_init();
extern "C" __attribute__((weak)) void __tsan_init();

namespace ninc::test {

inline bool Sanitized() { return __asan_init != nullptr || __tsan_init != nullptr; }

}  // namespace ninc::test
