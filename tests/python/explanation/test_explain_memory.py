"""However many pictures are explained, memory stays where it was.

NINC_EXPLAIN_PICTURES=10000 pytest -s this_file explains so many, and says what memory they took.
"""

import os
import sys

import pytest

from ninc.explanation import explain
from support.processes import resident
from support.small_pictures import noise, picture_network

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc/self/statm"
)

PICTURES = int(os.environ.get("NINC_EXPLAIN_PICTURES", "300"))
WARM_UP = 100  # until each size has its plan, and the allocator has come to rest
MIB = 1 << 20

# Heights and widths. A picture and its heat take 70 KB and more, so 300 that were kept would show.
SIZES = ((96, 128), (128, 96), (112, 112), (100, 150), (133, 97))
SLACK = 4 * MIB


@pytest.mark.parametrize("framed", [None, (48, 64)], ids=["at its own size", "framed"])
def test_explaining_many_pictures_keeps_nothing(framed):
    network = picture_network(framed)
    pictures = [noise(*size, seed=seed) for seed, size in enumerate(SIZES)]

    def explained(count):
        for index in range(count):
            found = explain(network, pictures[index % len(SIZES)], index % 3)
            assert found.heat.shape == SIZES[index % len(SIZES)]
            found.overlay()

    explained(WARM_UP)
    before = resident()
    explained(PICTURES)
    after = resident()
    print(f"{PICTURES:,} pictures: {before / MIB:.1f} MiB before, {after / MIB:.1f} MiB after")
    assert after - before < SLACK
