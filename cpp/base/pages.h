// Memory that is the system's again as soon as it is freed.
#pragma once

#include <cstddef>

namespace ninc {

// `size` bytes in pages of their own, filled with zeros; null where the system has none. For what
// is large and stays. malloc keeps freed blocks for the thread that allocated them, so a service
// that prepared new weights in one thread after another would grow with each of them. What goes at
// the end of a call is quicker from malloc: these pages are filled at their first touch each time.
std::byte* MapPages(size_t size);
void UnmapPages(std::byte* memory, size_t size);

}  // namespace ninc
