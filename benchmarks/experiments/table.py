"""The experiments' results as Markdown: what the paper says beside what was measured."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Iterable, Sequence

from .what import EXPERIMENTS, Experiment

Row = dict  # of the file of results; `training.Plan.run` makes them

# A network that has learnt nothing gives every class the same score: a loss of ln 10 for ten.
_GUESSING = math.log(10) - 0.003


def diverged(row: Row) -> bool:
    """Whether the training ended early, in numbers that are not finite; it has no error then."""
    return row["error"] is None


def learnt_nothing(row: Row) -> bool:
    """Whether the training ended at a guess, as one whose last ReLU lets nothing through does."""
    return not diverged(row) and row["training losses"][-1] > _GUESSING


def markdown(rows: Iterable[Row], names: Sequence[str] = tuple(EXPERIMENTS)) -> list[str]:
    """The lines of all tables: a heading for each group of results of the same settings."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(json.dumps(row["settings"], sort_keys=True), []).append(row)
    if not groups:
        return ["nothing has been measured yet"]
    lines = []
    for same in groups.values():
        lines += [*_heading(same[0]["settings"]), ""]
        for name in names:
            lines += [*_table(EXPERIMENTS[name], same), ""]
    return lines[:-1]


def _heading(settings: dict) -> list[str]:
    epochs, pictures = settings["epochs"], settings["training pictures"]
    network = "as published" if settings["recipe"] == "original" else "with batch norm"
    clipped = settings.get("clip norm")
    limit = "" if clipped is None else f", gradients limited to a norm of {clipped:g}"
    return [
        f"### Recipe `{settings['recipe']}`, {count(epochs, 'epoch')} of {pictures:,} pictures",
        "",
        f"Paper: CIFAR-10, lossless, 260 epochs or so of 50,000 pictures. Measured: "
        f"{settings['pictures']}, the network {network}, the recipe's schedule scaled to "
        f"{count(epochs, 'epoch')}, rate {settings['rate']:g}{limit}, batch {settings['batch']}; "
        f"tested once, at the end, on {settings['test pictures']:,} pictures.",
    ]


def _table(experiment: Experiment, rows: list[Row]) -> list[str]:
    epochs = rows[0]["settings"]["epochs"]
    lines = [
        f"#### {experiment.title}",
        "",
        "| | paper: error, % | measured: mean error, % | seed: error, % | epochs | seconds a run |",
        "|---|---|---|---|---|---|",
    ]
    for name, words, reported in experiment.reported:
        runs = _runs(rows, name)
        each = ", ".join(f"{run['seed']}: {_error(run)}" for run in runs)
        finished = [run for run in runs if not diverged(run)]
        if finished:
            mean = f"{_mean(finished):.2f}"
            seconds = f"{statistics.mean(run['seconds'] for run in finished):,.0f}"
        else:
            mean, seconds = "none" if runs else "not measured yet", ""
        lines.append(f"| {words} | {reported:g} | {mean} | {each} | {epochs} | {seconds} |")
    return [*lines, "", verdict(experiment, rows)]


def verdict(experiment: Experiment, rows: Iterable[Row]) -> str:
    """A sentence: whether the order of the measured errors is the paper's.

    Means are over the seeds from which every network of the experiment was trained to the end. What
    diverged is told behind: a mean without it flatters its network.
    """
    by_name = {name: _runs(rows, name) for name in experiment.variants}
    words = {name: text for name, text, _ in experiment.reported}
    ended_early = [
        f"{words[name]} from seed {run['seed']}"
        for name, runs in by_name.items()
        for run in runs
        if diverged(run)
    ]
    told = f" Diverged, and in no mean: {', '.join(ended_early)}." if ended_early else ""
    finished = {name: [r for r in runs if not diverged(r)] for name, runs in by_name.items()}
    return f"{_compared(experiment, words, finished)}{told}"


def _compared(experiment: Experiment, words: dict[str, str], by_name: dict[str, list[Row]]) -> str:
    """The sentence of `verdict` for trainings that did not diverge."""
    seeds = sorted(set.intersection(*({run["seed"] for run in r} for r in by_name.values())))
    if not seeds:
        missing = [words[name] for name, runs in by_name.items() if not runs]
        what = ", ".join(missing) if missing else "a seed that all were trained from"
        return f"Whether the order agrees with the paper's is not known yet: {what} is missing."
    kept = {name: [r for r in runs if r["seed"] in seeds] for name, runs in by_name.items()}
    failed = [(name, run["seed"]) for name, r in kept.items() for run in r if learnt_nothing(run)]
    if failed:
        told = ", ".join(f"{words[name]} from seed {seed}" for name, seed in failed)
        return (
            f"The order cannot be told: these trainings ended at a guess, which is no measure of "
            f"the network: {told}."
        )
    means = {name: _mean(runs) for name, runs in kept.items()}
    listed = ", ".join(f"{words[name]} {mean:.2f} %" for name, mean in means.items())
    of_seeds = f"of seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    if not experiment.ordered:
        first, second = means.values()
        return (
            "The authors' figures are too close to tell an order; measured "
            f"{abs(first - second):.2f} points apart: {listed} ({of_seeds})."
        )
    return f"{_order(experiment, means)}: {listed} ({of_seeds}).{_doubt(kept, means)}"


def _order(experiment: Experiment, means: dict[str, float]) -> str:
    paper = sorted(experiment.reported, key=lambda entry: -entry[2])
    measured = [means[name] for name, _, _ in paper]
    if all(worse > better for worse, better in itertools.pairwise(measured)):
        return "The order agrees with the paper's"
    return (
        "The order DIFFERS from the paper's, which is, from the worst to the best, "
        f"{', '.join(words for _, words, _ in paper)}; measured"
    )


def _doubt(kept: dict[str, list[Row]], means: dict[str, float]) -> str:
    """What the seeds' spread says of the smallest difference; nothing where it says nothing."""
    if len(next(iter(kept.values()))) < 2:
        return " One seed tells no spread."
    ranked = sorted(means.values())
    least = min(b - a for a, b in itertools.pairwise(ranked))
    spread = max(statistics.stdev(run["error"] for run in runs) for runs in kept.values())
    if least > spread:
        return ""
    return (
        f" The smallest difference, {least:.2f} points, is within the spread of the seeds, "
        f"{spread:.2f} points (standard deviation)."
    )


def _runs(rows: Iterable[Row], name: str) -> list[Row]:
    """Of one network, by seed."""
    return sorted((row for row in rows if row["variant"] == name), key=lambda row: row["seed"])


def _error(run: Row) -> str:
    return "diverged" if diverged(run) else f"{run['error']:.2f}"


def _mean(runs: list[Row]) -> float:
    return statistics.mean(run["error"] for run in runs)


def count(number: int, word: str) -> str:
    """In words such as 1 epoch or 1,000 epochs."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
