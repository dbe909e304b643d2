#include "fuzz/fuzz_model.h"

#include <algorithm>
#include <cstring>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ninc::FuzzModel(data, size);
  return 0;
}

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// A byte more or less in the header would leave its length wrong, and nothing behind the length's
// check would be tried: three times of four the header alone is changed and its length made right.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  constexpr size_t kLength = 8;
  uint64_t length = 0;
  if (size >= kLength) std::memcpy(&length, data, kLength);
  if (seed % 4 == 0 || size < kLength || length > size - kLength || max_size < size) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::string tail(data + kLength + length, data + size);
  const size_t room = max_size - kLength - tail.size();
  length = LLVMFuzzerMutate(data + kLength, length, room);
  std::memcpy(data, &length, kLength);
  std::copy(tail.begin(), tail.end(), data + kLength + length);
  return kLength + length + tail.size();
}
