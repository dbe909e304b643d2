#include "run/placement.h"

namespace ninc {

// Old plans go while plans and their weights hold more than half of the limit; then idle arenas,
// which are large and cost little to make again.
void Placement::Trim(size_t limit) {
  while (plans.bytes() + prepared.live_bytes() > limit / 2 && CacheBytes() > limit &&
         plans.DropOldest()) {
  }
  const size_t held = plans.bytes() + prepared.live_bytes();
  arenas.Trim(limit > held ? limit - held : 0);
}

}  // namespace ninc
