"""The layers of a net, whichever of Caffe's formats it is stored in, as they are in testing."""

from __future__ import annotations

import dataclasses

from ...errors import ModelError
from ..names import shown_name
from ..protobuf.schema import Message
from .schema import V1_TYPES

# The deepest published networks have some 3,000. A graph takes the square of the time to be built.
MOST_LAYERS = 5_000

# Types of the format with numbers whose names in the later one are not CONCAT -> Concat.
_RENAMED = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
_NAMES = {one: one.title().replace("_", "") for one in V1_TYPES} | _RENAMED


@dataclasses.dataclass(frozen=True, eq=False)
class CaffeLayer:
    """A layer of Caffe. bottoms, tops: names of the blobs that it takes and gives.

    message: all of it. number: its place in the file, from 1 on, for a layer without a name.
    """

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    number: int

    def __str__(self) -> str:
        return f"{self.shown} ({shown_name(self.type)})"

    @property
    def shown(self) -> str:
        """Its name as messages have it."""
        return shown_name(self.name) or f"layer {self.number}"

    @property
    def blobs(self) -> list[Message]:
        """Its weights, of which none were read yet."""
        return self.message.all("blobs")


def layers_of(net: Message, where: str) -> list[CaffeLayer]:
    """All layers, in order; ModelError where there are none, or of two formats, or too many."""
    new, old = net.all("layer"), net.all("layers")
    if new and old:
        raise ModelError(
            f"{where}: has both `layer` and `layers`, which are two formats; it needs one of them"
        )
    if not new and not old:
        raise ModelError(f"{where}: describes no layers, a net of Caffe is needed")
    if len(new or old) > MOST_LAYERS:
        raise ModelError(f"{where}: has {len(new or old):,} layers, at most {MOST_LAYERS:,} go in")
    if any("layer" in one for one in old):
        raise ModelError(
            f"{where}: is in Caffe's first format, of 2013; Caffe's upgrade_net_proto_text and "
            "upgrade_net_proto_binary bring it to the present one"
        )
    return [_layer(one, number, bool(old)) for number, one in enumerate(new or old, 1)]


def _layer(message: Message, number: int, is_old: bool) -> CaffeLayer:
    kind = message.get("type", "")
    return CaffeLayer(
        name=message.get("name", ""),
        type=_NAMES.get(kind, kind) if is_old else kind,
        bottoms=message.all("bottom"),
        tops=message.all("top"),
        message=message,
        number=number,
    )


def in_testing(layer: CaffeLayer, net: Message) -> bool:
    """Whether a layer's rules, where it has some, let it be part of the net that is tested."""
    include, exclude = layer.message.all("include"), layer.message.all("exclude")
    state = net.message("state")
    if include:
        return any(_meets(rule, state) for rule in include)
    return not any(_meets(rule, state) for rule in exclude)


def _meets(rule: Message, state: Message) -> bool:
    level, stages = state.get("level", 0), state.all("stage")
    return (
        rule.get("phase", "TEST") == "TEST"
        and rule.get("min_level", level) <= level <= rule.get("max_level", level)
        and all(stage in stages for stage in rule.all("stage"))
        and not any(stage in stages for stage in rule.all("not_stage"))
    )
