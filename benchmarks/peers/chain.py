"""A network's graph as the peers' builders walk it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ninc


def chain(network: ninc.Network) -> Iterator[dict[str, Any]]:
    """The nodes after the input, in order, of a network that is a chain of layers (the NINs).

    Raises ValueError at a node that does not read its predecessor alone.
    """
    nodes = json.loads(network.core.graph_json())["nodes"]
    for previous, node in zip(nodes, nodes[1:]):
        if node["inputs"] != [previous["name"]]:
            raise ValueError(
                f"{node['name']} reads {node['inputs']}; peers are built for chains, where it "
                f"would read {previous['name']}"
            )
        yield node


def unsupported(node: dict[str, Any]) -> ValueError:
    return ValueError(f"{node['name']}: the peers' builders know no {node['op']}")
