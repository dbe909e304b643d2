"""The documents as a reader uses them: pages with code blocks that are run, headings and links.

    python -m support.documents PAGE FOLDER

runs a page's blocks in order in the folder, as someone would who types them one after another:
those in Python in one namespace, commands by bash. It ends with status 1 at the first that fails.
What the reader does not see stands in a comment before a block:

    <!-- not run: REASON -->      the block is left out; the tests count such blocks
    <!-- needs torch -->          the block is left out where that module is not installed; several
                                  have a comma between them
    <!-- exit status 1 -->        the last of its commands ends with this status

A block that begins with a comment that is a file's name is written to that file. Commands of the
repository itself (`make`, `python -m benchmarks.nin`) are not run, but must be there.
"""

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import traceback
from pathlib import Path

from markdown_it import MarkdownIt

from . import ROOT

SHOWN = {"text", "json"}  # nobody types these
RUN = {"python", "sh", "console", "c", "cpp", "cmake"}
COMPILERS = {"c": ["cc", "-std=c99"], "cpp": ["c++", "-std=c++20"]}
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


@dataclasses.dataclass
class Block:
    page: str
    line: int  # of its first line of code, counted from 1
    language: str
    code: str
    not_run: str = ""  # why not
    needs: str = ""  # modules, with commas between them
    status: int = 0  # of its last command

    @property
    def file(self):
        """The file that the block is to be written to; "" for none."""
        found = re.match(r"(?:#|//|/\*) ([\w.]+\.\w+)(?: \*/)?\n", self.code)
        return found[1] if found else ""

    def commands(self):
        """What a block of sh or console types; what was printed is left out."""
        if self.language == "sh":
            return self.code
        typed = re.findall(r"^\$ ((?:.*\\\n)*.*)", self.code, re.MULTILINE)
        return "\n".join(line for line in typed)


def pages(root=ROOT):
    """Every document that users read."""
    tops = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "python/README.md")
    return [root / top for top in tops] + sorted((root / "docs").rglob("*.md"))


def _tokens(path):
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


# ---- Code blocks ---------------------------------------------------------------------------------


def blocks(path):
    """The code blocks of a page, but for the directives that Sphinx reads."""
    found, comment = [], ""
    for token in _tokens(path):
        if token.type in ("fence", "code_block"):
            language = token.info.strip() if token.type == "fence" else "(indented)"
            if not language.startswith("{"):
                reason = re.search(r"<!-- not run: (.+) -->", comment)
                needs = re.search(r"<!-- needs (\w+(?:, \w+)*) -->", comment)
                status = re.search(r"<!-- exit status (\d+) -->", comment)
                line = token.map[0] + (2 if token.type == "fence" else 1)
                block = Block(str(path), line, language, token.content)
                block.not_run = reason[1] if reason else ""
                block.needs = needs[1] if needs else ""
                block.status = int(status[1]) if status else 0
                found.append(block)
        comment = token.content if token.type == "html_block" else ""
    return found


def run_page(path):
    """Runs a page's blocks in the working folder; raises at the first that fails."""
    namespace = {"__name__": "__main__"}
    _one_epoch()
    for block in blocks(path):
        try:
            needs = block.needs.split(", ") if block.needs else []
            missing = any(importlib.util.find_spec(module) is None for module in needs)
            if not block.not_run and not missing and block.language not in SHOWN:
                _run(block, namespace)
        except BaseException:
            print(f"{block.page}:{block.line}: this block failed:\n{block.code}", file=sys.stderr)
            raise


def _one_epoch():
    """Lets every `fit` in this process have one epoch, as `ninc train` has in these tests."""
    import ninc

    fit = ninc.Trainer.fit

    def short(trainer, *data, **settings):
        return fit(trainer, *data, **{**settings, "epochs": 1})

    ninc.Trainer.fit = short


def _run(block, namespace):
    assert block.language in RUN, f"no language that is run: {block.language!r}"
    if block.file:
        Path(block.file).write_text(block.code, encoding="utf-8")
    if block.language in COMPILERS:
        _compile(block)
    elif block.language in ("sh", "console"):
        _type(block)
    elif block.language == "python" and not block.file:
        # Empty lines in front, so that a traceback has the page's own line.
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, block.page, "exec"), namespace)
    else:
        assert block.file, f"a block of {block.language} needs the name of its file"


def _compile(block):
    import ninc

    command = [*COMPILERS[block.language], *WARNINGS, "-I", ninc.get_include()]
    language = {"c": "c", "cpp": "c++"}[block.language]
    subprocess.run([*command, "-x", language, "-"], input=block.code, text=True, check=True)


def _type(block):
    commands = block.commands()
    assert commands, "no command: a line that is typed begins with '$ '"
    if _of_the_repository(commands):
        return
    script = f"set -euo pipefail\n{commands}\n"
    if block.status:
        *before, last = commands.splitlines()
        script = "\n".join(["set -euo pipefail", *before, "set +e", last])
    done = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL)
    assert done.returncode == block.status, f"exit status {done.returncode}"


# ---- Commands of the repository ------------------------------------------------------------------


def _of_the_repository(commands):
    """Whether all of these are commands that one gives in a clone; each must be there."""
    lines = commands.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return all([_is_there(each) for each in words if each])


def _is_there(words):
    if words[0] == "make":
        goals = re.findall(r"^([\w-][\w -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        known = {goal for line in goals for goal in line.split()}
        asked = {word for word in words[1:] if "=" not in word}
        assert asked <= known, f"the Makefile has no goal {asked - known}"
        return True
    if words[0].endswith("python") and words[1:2] == ["-m"] and words[2].startswith("benchmarks."):
        place = ROOT / words[2].replace(".", "/")
        file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    elif words[0].endswith("python") and words[1:] and words[1].startswith("tools/"):
        file = ROOT / words[1]
    elif words[0] == "pytest":
        file = ROOT / words[1]
    elif words[0].startswith("build/release/tests/"):
        name = f"{Path(words[0]).name}.cc"
        file = next((ROOT / "tests").rglob(name), ROOT / "tests" / name)
    else:
        return False
    assert file.is_file(), f"there is no {file.relative_to(ROOT)}"
    return True


# ---- Links ---------------------------------------------------------------------------------------


def links(path):
    """(line, target) of a page's links and pictures."""
    found = []
    for token in _tokens(path):
        for part in token.children or ():
            target = part.attrs.get("href") or part.attrs.get("src")
            if target:
                found.append((token.map[0] + 1, target))
    return found


def anchors(path):
    """What may stand behind a # in a link to a page: its headings as GitHub and MyST spell them."""
    text = path.read_text(encoding="utf-8")
    found = set()
    tokens = _tokens(path)
    for level, words in zip(tokens, tokens[1:]):
        if level.type == "heading_open":
            plain = "".join(part.content for part in words.children)
            found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    for included in re.findall(r"^```\{include\} (\S+)", text, re.MULTILINE):
        found |= anchors(path.parent / included)
    return found


def dead_links(path):
    """A sentence for each link of a page that leads nowhere."""
    found = []
    for line, target in links(path):
        problem = _problem(path, target)
        if problem:
            found.append(f"{path.name}:{line}: {target}: {problem}")
    return found


def _problem(path, target):
    """What is wrong with a link; "" if nothing is. Other sites are not asked."""
    if re.match(r"[a-z]+:", target):
        well_formed = re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[\w.~/#?=&%+:-]*)?", target)
        return "" if well_formed else "no well-formed https address"
    name, _, anchor = target.partition("#")
    file = (path.parent / name) if name else path
    if not file.exists():
        return "there is no such file"
    if anchor and anchor not in anchors(file):
        return "the page has no such heading"
    return ""


if __name__ == "__main__":
    page, folder = Path(sys.argv[1]).resolve(), sys.argv[2]
    os.chdir(folder)
    try:
        run_page(page)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
