// What the emulated driver offers beside a driver's functions; control.h describes it.
#include "cuda_emulator/driver/fake_driver.h"

using namespace ninc::emulator;  // NOLINT: exported by plain names

#define NINC_CONTROL extern "C" __attribute__((visibility("default")))

NINC_CONTROL int ninc_emulator_set(const char* name, int64_t value) {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  int64_t* setting = driver.settings.Find(name);
  if (setting == nullptr) return 0;
  *setting = value;
  return 1;
}

NINC_CONTROL int64_t ninc_emulator_live_bytes() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  return static_cast<int64_t>(driver.memory.live_bytes());
}

NINC_CONTROL int64_t ninc_emulator_launches() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  return driver.launches;
}

NINC_CONTROL int ninc_emulator_leaks() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  return driver.Leaks();
}

NINC_CONTROL int ninc_emulator_misuses() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  return driver.misuses;
}

NINC_CONTROL const char* ninc_emulator_last_fault() { return FakeDriver::Get().last_fault.c_str(); }

NINC_CONTROL const char* ninc_emulator_report() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  static std::string report;
  report = driver.Report();
  return report.c_str();
}

NINC_CONTROL void ninc_emulator_reset_counters() {
  FakeDriver& driver = FakeDriver::Get();
  const std::lock_guard<std::mutex> lock(driver.mutex);
  driver.reports.clear();
}
