"""Progress on a terminal that goes away while the work goes on."""

import io

from ninc._base.progress import Counter, LiveLine, TrainingProgress


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
