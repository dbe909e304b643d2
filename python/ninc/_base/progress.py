"""Shows how far a long job is: one changing line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

# Ten times a second is smooth to the eye and costs nothing beside a training step.
_REFRESH_SECONDS = 0.1

# Below this a loss is written with four places.
_LARGEST_LOSS = 1e4


def time_text(seconds: float) -> str:
    """ "0:07", "12:40", "3:05:00"."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60}:{rest % 60:02d}"


def loss_text(loss: float) -> str:
    """ "0.0123", "9.87e+26": a loss that runs away must not fill the line with digits."""
    return f"{loss:.3g}" if abs(loss) >= _LARGEST_LOSS else f"{loss:.4f}"


def _tell(stream: TextIO, text: str) -> bool:
    """Writes the text; False where the terminal has gone, which must not end the work."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError, RuntimeError):  # the last: a signal came amid a write
        return False
    return True


class LiveLine:
    """A line of text that is rewritten in place; without a terminal it shows nothing."""

    def __init__(self, stream: TextIO | None = None, shown: bool = True) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.shown = shown and self.stream.isatty()
        self._last = float("-inf")
        self._width = 0

    def due(self) -> bool:
        """Tells whether the line is old enough to be worth building anew."""
        return self.shown and time.monotonic() - self._last >= _REFRESH_SECONDS

    def show(self, text: str) -> None:
        """Shows `text` in the place of what the line said before."""
        if not self.shown:
            return
        # A line that wraps cannot be rewritten: "\r" only goes back to the start of its last row.
        text = text[: shutil.get_terminal_size().columns - 1]
        self.shown = _tell(self.stream, "\r" + text.ljust(self._width))
        self._width = len(text)
        self._last = time.monotonic()

    def clear(self) -> None:
        """Leaves the cursor at the start of an empty line."""
        if self.shown and self._width:
            self.shown = _tell(self.stream, "\r" + " " * self._width + "\r")
            self._width = 0


class Counter:
    """Counts a job's items on a live line: "reading pictures 12,000 / 50,000, 0:05 left"."""

    def __init__(
        self, name: str, total: int, stream: TextIO | None = None, shown: bool = True
    ) -> None:
        self.name, self.total = name, total
        self._done = 0
        self._start = time.monotonic()
        self._line = LiveLine(stream, shown)

    def advance(self, count: int) -> None:
        self._done += count
        if self._line.due():
            elapsed = time.monotonic() - self._start
            left = elapsed / self._done * (self.total - self._done)
            self._line.show(f"{self.name} {self._done:,} / {self.total:,}, {time_text(left)} left")

    def close(self) -> None:
        self._line.clear()


class TrainingProgress:
    """Epoch, step, loss, accuracy, images/s and time left, on stderr.

    A terminal gets one live line, and a line that stays for each finished epoch; anything else gets
    the latter alone. Without `shown` it is silent.

    steps: how many an epoch has, None where nobody knows. done: how many steps the run had done
    before.
    """

    def __init__(
        self,
        epochs: int,
        steps: int | None,
        done: int = 0,
        stream: TextIO | None = None,
        shown: bool = True,
    ) -> None:
        self.epochs, self.steps = epochs, steps
        self.stream = sys.stderr if stream is None else stream
        self.shown = shown
        self._line = LiveLine(self.stream, shown)
        self._start, self._done = time.monotonic(), done

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float) -> None:
        """Takes note of a step.

        `epoch` and `step` count from 0; rate: images a second in this epoch.
        """
        if not self._line.due():
            return
        words = [f"epoch {epoch + 1}/{self.epochs}", f"step {step + 1}", f"loss {loss_text(loss)}"]
        words += [f"accuracy {accuracy:.1%}", f"{rate:,.0f} images/s"]
        if self.steps is not None:
            words[1] += f"/{self.steps}"
            done = epoch * self.steps + step + 1
            elapsed = time.monotonic() - self._start
            left = elapsed / max(1, done - self._done) * (self.epochs * self.steps - done)
            words.append(f"{time_text(left)} left")
        self._line.show("  ".join(words))

    def note(self, text: str) -> None:
        """Prints a line that stays, such as that the run goes on from a checkpoint."""
        self._line.clear()
        if self.shown:
            self.shown = _tell(self.stream, text + "\n")

    def validating(self, epoch: int) -> None:
        """Says so while the held-out pictures are looked at."""
        self._line.show(f"epoch {epoch + 1}/{self.epochs}  testing ...")

    def averaging(self) -> None:
        """Says so while batch norm's statistics are estimated for averages at a run's end."""
        self._line.show("ending: looking at training pictures for the averaged weights ...")

    def epoch(self, row: dict[str, float]) -> None:
        """Prints a line that stays about a finished epoch, from the history's row."""
        text = (
            f"epoch {row['epoch']:>{len(str(self.epochs))}}/{self.epochs}  "
            f"loss {loss_text(row['loss'])}  accuracy {row['accuracy']:6.2%}"
        )
        if "val_accuracy" in row:
            text += f"  held out: loss {loss_text(row['val_loss'])}"
            text += f"  accuracy {row['val_accuracy']:6.2%}"
        text += f"  {row['images_per_second']:,.0f} images/s  {time_text(row['seconds'])}"
        self.note(text)

    def close(self) -> None:
        self._line.clear()
