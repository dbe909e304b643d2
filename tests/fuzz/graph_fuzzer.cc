#include "fuzz/fuzz_graph.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ninc::FuzzGraph(data, size);
  return 0;
}
