"""Makes programs of the documents' Python blocks, for type checkers to look at.

    python tools/typed_programs.py FOLDER

Writes FOLDER/README.py of README.md, and so on. A document's blocks are one program, since later
ones use the names of earlier ones. Every line stands where it stands in the document, so that what
a checker says of a line holds for the document's. `GIVEN` has the names that only a document's text
explains; they take the place of its first lines.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

GIVEN = {
    "docs/serving.md": [
        "import ninc, service",
        "network, self = ninc.load('nin.safetensors'), service.Service('nin.safetensors')",
    ],
    "docs/training.md": [
        "import ninc",
        "train, test = ninc.data.load('pets'), ninc.data.load('pets', 'test')",
        "trainer = ninc.Trainer(ninc.models.nin_cifar10())",
    ],
}


def program(document: str, given: list[str]) -> str:
    """The document's Python blocks at their own lines, all other lines empty but for `given`."""
    lines = []
    fence = ""  # the line that began the block
    for line in document.splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
            lines.append("")
        else:
            lines.append(line if fence == "```python" else "")
    if any(lines[: len(given)]):
        raise SystemExit("the names that are given have no room above the first block")
    lines[: len(given)] = given
    return "\n".join(lines) + "\n"


def main(folder: str) -> None:
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob("*.py"):
        old.unlink()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        if "```python\n" in text:
            given = GIVEN.get(document.relative_to(ROOT).as_posix(), [])
            name = document.stem.replace("-", "_") + ".py"
            (to / name).write_text(program(text, given), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
