"""Classes that pickles of earlier versions name: what was known of a graph's channels.

The core knows that now. Pickles may hold values of these beside the layers; nobody reads them.
"""

from __future__ import annotations


class Channels:
    pass


class _Value:
    pass
