"""Measurements: `nin` (each layer against the machine's limit), `compare` (against peers),
`versions` (two builds in turn), `regret` (whether the algorithms chosen are the best), `feeding`
(whether a trainer waits for its pictures), `first_picture` (how long a program in C takes to its
first answer), `serving` (a web service beside ONNX Runtime's), `winograd_accuracy` (whether
trainings with Winograd's convolution are as right as those without), `masking` (whether class maps
show what answers come from), `paper` (the experiments of "Network In Network"), `fast` (what
accuracy recipe "fast" gives, and how soon), `finetune` (what a trained network is worth where there
are few pictures) and `bulk` (whether Ray and Dask give the answers of `ninc predict`, and at what
cost).

Speed claims of this project are ratios against a peer in one run; docs/speed.md and
docs/results.md name the commands.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path


def write_json(path: str | None, value: object) -> None:
    """Writes a command's figures, where --json names a file."""
    if path:
        Path(path).write_text(json.dumps(value, indent=1), encoding="utf-8")


def stored_rows(path: str, fields: Sequence[str]) -> list[dict]:
    """The rows of a file of JSON lines; none where there is no file. A torn last line is cut off.

    fields: what every row has. ValueError where another line is no such row.
    """
    if not os.path.exists(path):
        return []
    content = Path(path).read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            for field in fields:
                row[field]
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{path}: line {number} is no result of this benchmark") from None
        rows.append(row)
    return rows
