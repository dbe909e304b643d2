"""A network's graph, as the other files here and `explanation` ask about it."""

from __future__ import annotations

import json
from typing import Any

from .. import _core

Graph = dict[str, Any]  # the core's JSON


def graph_of(model: _core.Model) -> Graph:
    """The network's graph: nodes with name, operation, inputs and the operation's settings."""
    return json.loads(model.graph_json())
