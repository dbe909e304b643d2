"""Results as text: a table a row, then ratios, memory and what was to be reached."""

from __future__ import annotations

from collections.abc import Collection

from .. import peers

# Cores that other processes may take before a row is said to be disturbed. Engines that wait for
# their slowest thread lose twice what one core loses, and others of them less.
_DISTURBED = 0.05


def counted(row: dict) -> list[dict]:
    """The row's engines whose results agree and that keep to the row's instruction set."""
    return [
        engine for engine in row["engines"] if engine["held"] and engine["disagreement"] is None
    ]


def best_peer(row: dict, names: Collection[str] = (), lower: bool = False) -> dict | None:
    """The fastest counted peer: of these names, else in float32, or with `lower` in less."""
    found = [
        engine
        for engine in counted(row)
        if engine["name"] != peers.NINC
        and (engine["name"] in names if names else (engine["precision"] != peers.FLOAT32) == lower)
    ]
    return min(found, key=lambda engine: engine["seconds"], default=None)


def engine_named(row: dict, name: str) -> dict | None:
    return next((engine for engine in row["engines"] if engine["name"] == name), None)


def ratio(row: dict, peer: dict | None) -> float | None:
    """How many times as fast as the peer ninc is; None without one."""
    own = engine_named(row, peers.NINC)
    return peer["seconds"] / own["seconds"] if peer else None


def setting(row: dict) -> str:
    threads = row["threads"]
    return f"{row['target']}, {threads} thread{'' if threads == 1 else 's'}"


def row_table(row: dict) -> str:
    """Every engine's median, images a second, GFLOP/s counted direct and part of the limit.

    ratio: how many times as fast as that engine ninc is.
    """
    lines = [
        f"{row['title']} ({row['row']}): {setting(row)}, {row['gflop']:.2f} GFLOP counted direct, "
        f"float32 limit {row['limit_gflops']:.0f} GFLOP/s"
    ]
    cells = [("engine", "ms", "images/s", "GFLOP/s", "of limit", "ratio", "")]
    for engine in row["engines"]:
        gflops = row["gflop"] / engine["seconds"]
        own = engine["name"] == peers.NINC
        cells.append(
            (
                engine["name"],
                f"{engine['seconds'] * 1e3:.2f}",
                f"{row['batch'] / engine['seconds']:,.0f}",
                f"{gflops:.0f}",
                f"{gflops / row['limit_gflops']:.0%}",
                "" if own else f"{ratio(row, engine):.2f}",
                _remark(engine),
            )
        )
    lines += columns(cells, left=(0, 6))
    lines += [f"  {gone['name']}: {gone['reason']}" for gone in row["left_out"]]
    if disturbance(row):
        lines.append(f"  {disturbance(row)}")
    best = best_peer(row)
    if best:
        lines.append(
            f"  ninc is {ratio(row, best):.2f} times as fast as the best float32 peer, "
            f"{best['name']}"
        )
    return "\n".join(lines)


def disturbance(row: dict) -> str:
    """What is to be said where other processes took much of the machine meanwhile, or ""."""
    cores = row["others_cores"]
    if cores is None or cores < _DISTURBED:
        return ""
    return f"disturbed: other processes kept {cores:.2f} cores busy meanwhile"


def _remark(engine: dict) -> str:
    if engine["disagreement"]:
        return f"not counted: {engine['disagreement']}"
    if not engine["held"]:
        used = engine["instruction_set"]
        return f"not counted: {'runs on ' + used if used else 'cannot be held to this target'}"
    return "" if engine["precision"] == peers.FLOAT32 else engine["precision"]


def summary(rows: list[dict]) -> str:
    """One line a row: ninc beside the best float32 peer, and beside the best of lower precision."""
    cells = [("row", "setting", "ninc ms", "best float32 peer", "ms", "ratio", "bf16", "ratio", "")]
    for row in rows:
        best = best_peer(row)
        lower = best_peer(row, lower=True)
        own = engine_named(row, peers.NINC)
        cells.append(
            (
                row["row"],
                setting(row),
                f"{own['seconds'] * 1e3:.2f}",
                best["name"] if best else "-",
                f"{best['seconds'] * 1e3:.2f}" if best else "-",
                f"{ratio(row, best):.2f}" if best else "-",
                f"{lower['seconds'] * 1e3:.2f}" if lower else "-",
                f"{ratio(row, lower):.2f}" if lower else "-",
                "disturbed" if disturbance(row) else "",
            )
        )
    return "\n".join(columns(cells, left=(0, 1, 3, 8)))


def memory_table(memory: list[dict]) -> str:
    """Megabytes an engine, of one row: after its import, at its peak, and between the two."""
    first = memory[0]
    lines = [f"Peak memory, {first['title']}: {setting(first)}, a process an engine"]
    cells = [("engine", "imported MB", "peak MB", "growth MB", "precision")]
    for engine in memory:
        figures = (f"{engine[key]:.0f}" for key in ("imported_mb", "peak_mb", "growth_mb"))
        cells.append((engine["name"], *figures, engine["precision"]))
    return "\n".join(lines + columns(cells, left=(0, 4)))


def columns(cells: list[tuple[str, ...]], left=(0,)) -> list[str]:
    """Lines of cells under each other; the columns of `left` are aligned there, others right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
