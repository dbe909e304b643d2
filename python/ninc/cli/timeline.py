"""A timeline of one run: when each step ran, and what each thread did meanwhile.

It is written in the Trace Event Format, which https://ui.perfetto.dev shows: a track with the
plan's steps, and one for each thread with its work in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _core

if TYPE_CHECKING:
    from .._core import _Timeline, _TimelineStep

_PROCESS = 1  # tracks belong to one
_STEPS = 1  # the steps' track; thread t has the number _STEPS + 1 + t

# What a thread's time in a step is made of. A loop shares its tasks out among the threads; one that
# gets none of them is without a task all along. Outside loops the caller computes alone.
_WORK, _FIRST, _LAST, _NONE, _OUTSIDE = (
    "work",
    "before the first task",
    "after the last task",
    "without a task",
    "outside loops",
)


# Of so many runs the one in the middle is shown: in a single one another program may have had the
# processor. Runs that take long are fewer.
_MOST_RUNS = 15
_SECONDS = 1.0


class Timeline:
    """The times of one call of `work`, which is called before, so that threads are awake."""

    def __init__(self, work: Callable[[], object], threads: int) -> None:
        work()
        runs = [_core.record_timeline(work)]
        while len(runs) < _MOST_RUNS and sum(map(_duration, runs)) < 1e9 * _SECONDS:
            runs.append(_core.record_timeline(work))
        self._run = sorted(runs, key=_duration)[len(runs) // 2]
        self._threads = threads

    def trace(self, title: str) -> dict[str, Any]:
        """What to write to a file, as JSON. Times are microseconds from the call's begin on.

        title: what was run, for the reader.
        """
        tracks = {_STEPS: "steps"}
        for thread in range(self._threads):
            tracks[_STEPS + 1 + thread] = f"thread {thread}" + (" (caller)" if thread == 0 else "")
        events: list[dict[str, Any]] = [_metadata("process_name", 0, name=title)]
        for track, name in tracks.items():
            events.append(_metadata("thread_name", track, name=name))
            events.append(_metadata("thread_sort_index", track, sort_index=track))
        for step in self._run["steps"]:
            name = _name(step)
            events.append(self._event(_STEPS, name, step["begin"], step["end"], self._facts(step)))
            for loop in step["loops"]:
                for thread, tasks, begin, end in loop["work"]:
                    track = _STEPS + 1 + thread
                    events.append(self._event(track, name, begin, end, {"tasks": tasks}))
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def summary(self) -> dict[str, Any]:
        """Seconds of the call, of its steps together and between these, and the threads' shares.

        busy: each thread's work as a share of the steps' time. time: what all threads' time in
        steps was spent on, in shares that come to 1.
        """
        steps = self._run["steps"]
        inside = sum(step["end"] - step["begin"] for step in steps)
        between = steps[-1]["end"] - steps[0]["begin"] - inside if steps else 0
        spent = [self._spent(step) for step in steps]
        busy = [0] * self._threads
        for step in steps:
            for loop in step["loops"]:
                for thread, _, begin, end in loop["work"]:
                    busy[thread] += end - begin
        return {
            "seconds": _duration(self._run) / 1e9,
            "steps": len(steps),
            "seconds_in_steps": inside / 1e9,
            "seconds_between_steps": between / 1e9,
            "busy": [_share(time, inside) for time in busy],
            "time": {
                part: _share(sum(times[part] for times in spent), inside * self._threads)
                for part in (_WORK, _FIRST, _LAST, _NONE, _OUTSIDE)
            },
        }

    def _event(
        self, track: int, name: str, begin: int, end: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        """One event that has a begin and an end, nanoseconds of the core's clock."""
        return {
            "ph": "X",
            "pid": _PROCESS,
            "tid": track,
            "name": name,
            "ts": (begin - self._run["begin"]) / 1e3,
            "dur": (end - begin) / 1e3,
            "args": facts,
        }

    def _facts(self, step: _TimelineStep) -> dict[str, Any]:
        """What is shown of a step that is selected."""
        time = step["end"] - step["begin"]
        spent = {part: _share(ns, time * self._threads) for part, ns in self._spent(step).items()}
        return {
            "layers": step["layers"],
            "algorithms": step["algorithms"],
            "GFLOP": step["flops"] / 1e9,
            "GFLOP/s": step["flops"] / time if time else 0.0,
            "busy": spent.pop(_WORK),
            "waiting": spent,
        }

    def _spent(self, step: _TimelineStep) -> dict[str, int]:
        """What the threads' time in a step was spent on, nanoseconds of all of them together."""
        spent = dict.fromkeys((_WORK, _FIRST, _LAST, _NONE), 0)
        outside = step["end"] - step["begin"]
        for loop in step["loops"]:
            outside -= loop["end"] - loop["begin"]
            for _, _, begin, end in loop["work"]:
                spent[_WORK] += end - begin
                spent[_FIRST] += begin - loop["begin"]
                spent[_LAST] += loop["end"] - end
            idle = self._threads - len(loop["work"])
            spent[_NONE] += idle * (loop["end"] - loop["begin"])
        return {**spent, _OUTSIDE: outside * self._threads}


def _duration(run: _Timeline) -> int:
    return run["end"] - run["begin"]


def _name(step: _TimelineStep) -> str:
    """`conv1, cccp1: mlpconv`; steps of no layer, such as the loss, have their kind alone."""
    return ": ".join(filter(None, (", ".join(step["layers"]), step["kind"])))


def _metadata(kind: str, track: int, **values: object) -> dict[str, Any]:
    return {"ph": "M", "pid": _PROCESS, "tid": track, "name": kind, "args": values}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def told(summary: dict[str, Any], path: str) -> list[str]:
    """A timeline's summary in lines, for a terminal."""
    inside, between = summary["seconds_in_steps"], summary["seconds_between_steps"]
    around = summary["seconds"] - inside - between
    busy = [f"thread {thread} {share:.1%}" for thread, share in enumerate(summary["busy"])]
    spent = [f"{share:.1%} {part}" for part, share in summary["time"].items()]
    return [
        f"wrote {path}: one run of {1e3 * summary['seconds']:,.3f} ms; {summary['steps']} steps "
        f"{1e3 * inside:,.3f} ms, between them {1e3 * between:,.3f} ms, before and after "
        f"{1e3 * around:,.3f} ms",
        f"work in the steps: {', '.join(busy)}",
        f"the threads' time in the steps: {', '.join(spent)}",
    ]
