"""Measurements: `nin` (each layer against the machine's limit), `compare` (against peers),
`versions` (two builds in turn), `regret` (whether the algorithms chosen are the best), `feeding`
(whether a trainer waits for its pictures), `first_picture` (how long a program in C takes to its
first answer), `serving` (a web service beside ONNX Runtime's), `winograd_accuracy` (whether
trainings with Winograd's convolution are as right as those without), `masking` (whether class
maps show what answers come from) and `finetune` (what a trained network is worth where there are
few pictures).

Speed claims of this project are ratios against a peer in one run; docs/results.md names the
commands.
"""

import json
from pathlib import Path


def write_json(path: str | None, value: object) -> None:
    """Writes a command's figures, where --json names a file."""
    if path:
        Path(path).write_text(json.dumps(value, indent=1), encoding="utf-8")
