"""The page's style: `style.css`, and the colours, of which there are two sets.

Blue and orange, the two that mean something, are told apart by people who see few colours; nothing
is said by colour alone. On light and on dark screens the contrast of text is at least 4.5 to 1 and
that of lines 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11), which a test computes from the numbers here.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from ..explanation.colours import ramp

# Names of the page's colours -> RGB. `right` and `wrong` lie under the numbers of a confusion
# matrix, at most at the opacity `MOST_SHADE`; line0 and so on are those of curves.
LIGHT = {
    "page": (247, 247, 244),
    "card": (255, 255, 255),
    "text": (27, 27, 31),
    "faint": (85, 85, 96),
    "rule": (216, 216, 209),
    "link": (0, 84, 160),
    "right": (0, 114, 178),
    "wrong": (213, 94, 0),
    "line0": (0, 106, 168),
    "line1": (196, 80, 0),
    "line2": (0, 122, 92),
    "line3": (168, 70, 130),
    "line4": (110, 95, 0),
    "line5": (80, 80, 88),
}
DARK = {
    "page": (22, 23, 26),
    "card": (31, 33, 37),
    "text": (232, 232, 236),
    "faint": (172, 174, 184),
    "rule": (62, 65, 73),
    "link": (130, 188, 255),
    "right": (38, 108, 190),
    "wrong": (190, 84, 12),
    "line0": (92, 176, 240),
    "line1": (255, 158, 82),
    "line2": (64, 200, 160),
    "line3": (228, 140, 196),
    "line4": (226, 208, 80),
    "line5": (186, 188, 198),
}
MOST_SHADE = 0.6
LINES = 6  # colours of curves; further ones have the same with other dashes


def style() -> str:
    """The content of the page's style element."""
    parts = [f":root{{{_variables(LIGHT)}}}"]
    parts.append(f"@media(prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}")
    # What is drawn of one series, a curve, its marks and its sample in a legend, has one class.
    for number in range(LINES):
        parts.append(f".c{number}{{--c:var(--line{number})}}")
    parts.append(".curve{stroke:rgb(var(--c))}.dot{fill:rgb(var(--c));stroke:rgb(var(--card))}")
    stops = ",".join(f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in ramp(np.linspace(0, 1, 7)))
    parts.append(f".heat{{background:linear-gradient(90deg,{stops})}}")
    return "\n".join(
        [
            *parts[:2],
            resources.files(__package__).joinpath("style.css").read_text("utf-8"),
            *parts[2:],
        ]
    )


def _variables(colours: dict[str, tuple[int, int, int]]) -> str:
    return "".join(f"--{name}:{','.join(map(str, rgb))};" for name, rgb in colours.items())
