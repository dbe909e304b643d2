"""Makes programs of the documents' Python blocks, for type checkers to look at.

    python tools/typed_programs.py FOLDER

Writes FOLDER/README.py of README.md, and so on. A document's blocks are one program, since later
ones use the names of earlier ones; one that begins with the name of its file, such as `# pool.py`,
is a program of its own, FOLDER/threads_pool.py of docs/threads.md. Every line stands where it
stands in the document, so that what a checker says of a line holds for the document's. Blocks that
the tests do not run everywhere, such as those of other packages, are left out: before them stands
`<!-- not run: ... -->` or `<!-- needs torch -->`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def programs(document: str) -> dict[str, str]:
    """The document's Python blocks by the name of their file, "" for those of no file of their own.

    Each has its blocks at their own lines and is empty elsewhere.
    """
    found: dict[str, list[str]] = {}
    lines = document.splitlines()
    fence = name = ""  # the line that began the block; the block's file
    for number, line in enumerate(lines):
        if line.startswith("```"):
            left_out = lines[number - 1].startswith(("<!-- not run: ", "<!-- needs "))
            fence = "" if fence else "left out" if left_out else line
            named = re.fullmatch(r"# (\w+)\.py", lines[number + 1]) if fence else None
            name = named[1] if named else ""
        elif fence == "```python":
            program = found.setdefault(name, [""] * len(lines))
            program[number] = line
    return {name: "\n".join(program) + "\n" for name, program in found.items()}


def main(folder: str) -> None:
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob("*.py"):
        old.unlink()
    for document in DOCUMENTS:
        stem = document.stem.replace("-", "_")
        for name, program in programs(document.read_text(encoding="utf-8")).items():
            file = f"{stem}_{name}.py" if name else f"{stem}.py"
            (to / file).write_text(program, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
