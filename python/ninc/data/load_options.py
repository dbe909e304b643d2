"""What a reader of a data set is told beside the path."""

from __future__ import annotations

import dataclasses

from ..preprocess import RGB, WHITE, Framing


@dataclasses.dataclass(frozen=True)
class LoadOptions:
    """`load` says what each means."""

    split: str = "train"
    size: tuple[int, int] | None = None
    channels: int | None = None
    held_out: float = 0.1
    seed: int = 0
    limit: int | None = None
    threads: int | None = None
    progress: bool = False
    on_error: str = "raise"
    in_memory: bool | None = None
    cache: int | None = None
    resize: int | None = None
    fit: str = "crop"
    ground: RGB = WHITE

    def framing(self, channels: int) -> Framing:
        """How pictures are brought to size; `channels` are theirs where no others are asked for."""
        wanted = channels if self.channels is None else self.channels
        return Framing(self.size, wanted, self.resize, self.fit, self.ground)
