"""Progress on a terminal that goes away while the work goes on."""

import io

import pytest

from ninc._base.progress import Counter, LiveLine, TrainingProgress, loss_text


class GoneTerminal(io.StringIO):
    """A terminal whose other end was closed after some writes."""

    def __init__(self, writes):
        super().__init__()
        self.writes = writes

    def isatty(self):
        return True

    def write(self, text):
        self.writes -= 1
        if self.writes < 0:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_line_falls_silent():
    line = LiveLine(GoneTerminal(1))
    line.show("one")
    assert line.shown
    line.show("two")
    assert not line.shown
    line.show("three")
    line.clear()


def test_counting_goes_on():
    counter = Counter("reading", 2, GoneTerminal(0))
    counter.advance(1)
    counter.advance(1)
    counter.close()


def test_training_goes_on():
    progress = TrainingProgress(1, 2, 8, GoneTerminal(0))
    progress.note("resumed")
    progress.validating(0)
    progress.epoch({"epoch": 1, "loss": 1, "accuracy": 0.5, "images_per_second": 1, "seconds": 1})
    assert not progress.shown
    progress.close()


@pytest.mark.parametrize("loss, text", [
    (0.0, "0.0000"), (2.30259, "2.3026"), (9999.5, "9999.5000"), (1e4, "1e+04"),
    (1246603251342778186852204544.0, "1.25e+27"), (-12345.6, "-1.23e+04"),
    (float("inf"), "inf"), (float("nan"), "nan"),
])  # fmt: skip
def test_a_loss_that_runs_away_stays_short(loss, text):
    assert loss_text(loss) == text
    stream = io.StringIO()
    row = {"epoch": 1, "loss": loss, "accuracy": 0.5, "images_per_second": 1, "seconds": 1}
    TrainingProgress(1, 2, 8, stream).epoch({**row, "val_loss": loss, "val_accuracy": 0.25})
    assert stream.getvalue().startswith(f"epoch 1/1  loss {text}  accuracy 50.00%  held out: ")
    assert f"held out: loss {text}  accuracy 25.00%" in stream.getvalue()
