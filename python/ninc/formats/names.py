"""Names and words for what comes from other programs."""

from __future__ import annotations

_LONGEST_NAME = 200  # bytes; the core takes 256, and a number may have to follow
_LONGEST_SHOWN = 80  # characters of a name in a message

# What is to be done where a file does not say how its pictures are prepared.
SET_PREPROCESSING = (
    "set network.preprocessing before `predict`, or --mean, --std and --size of `ninc convert`"
)

# What the core's names of nodes cannot have: they are parts of parameters' names in files.
_FORBIDDEN = {ord(sign): "_" for sign in "/\\\x7f"} | dict.fromkeys(range(32), "_")


class Names:
    """The names that a network's nodes have so far, as ninc's networks can have them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def free(self, name: str) -> str:
        """The name, with a number after it where another node has it; it is taken from then on."""
        free = name
        while free in self._taken:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            free = f"{name}_{self._numbers[name]}"
        self._taken.add(free)
        return free


def cleaned_name(name: str) -> str:
    """The name as the core takes it: "inception_3a/1x1" becomes "inception_3a_1x1"."""
    cleaned = name.translate(_FORBIDDEN)
    return cleaned.encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore")


def shown_name(name: str) -> str:
    """A name as messages have it, which cut it where it is long."""
    return name[:_LONGEST_SHOWN]
