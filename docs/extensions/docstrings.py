"""Turns the docstrings of ninc, which are plain text, into what Sphinx reads.

Docstrings are written to be read in a terminal. Four things in them have a form:

    `name`                     code, and a link where it is a public name of ninc
    name: what it means,       a setting; several of them, one after another, become a list
        and more of it
    (indented by four)         code or a formula, shown as it stands
    Raises ArgumentError       names of ninc's exceptions and classes are links without more

All else is prose, in which no character has a meaning of its own.
"""

import ast
import inspect
import re
import textwrap

import ninc
from ninc import augment, averages, data, functional, models, nn, preprocess, schedules

MODULES = {
    "ninc": ninc, "ninc.augment": augment, "ninc.averages": averages, "ninc.data": data,
    "ninc.functional": functional, "ninc.models": models, "ninc.nn": nn,
    "ninc.preprocess": preprocess, "ninc.schedules": schedules,
}  # fmt: skip

SETTING = re.compile(r"([a-z_]\w*(?:, \w+)*): +(\S.*)")
CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
WORD = re.compile(r"(?<![\w.])(?=\w*[a-z])[A-Z]\w*[A-Z]\w+\b")  # of two capitals or more


def setup(app):
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", name_types)
    app.connect("missing-reference", leave_types_alone)
    return {"parallel_read_safe": True}


def process(app, what, name, obj, options, lines):
    """Replaces the lines of one docstring."""
    lines[:] = converted("\n".join(lines), name)


def name_types(app, what, name, obj, options, signature, returned):
    """Short names of types within others, which Sphinx 9.0 shows as it holds them."""
    held = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    return tuple(text and held.sub(r"\1", text) for text in (signature, returned))


def leave_types_alone(app, env, node, content):
    """Types in signatures that have no entry on the site are shown as they are written.

    What docstrings and pages link to must be there: those are references of another kind.
    """
    return content if (node.get("refdomain"), node.get("reftype")) == ("py", "class") else None


# ---- Blocks --------------------------------------------------------------------------------------


def converted(text, where):
    """The lines of reStructuredText for a docstring; `where` is whose it is."""
    result = []
    for block in blocks(text):
        hangs = block[0].startswith("    ")
        block = textwrap.dedent("\n".join(block)).splitlines()
        if all(SETTING.fullmatch(line) for line in block if not line.startswith(" ")):
            result += settings(block, where)
        elif hangs:
            result += shown_as_it_is(block)
        elif any(line.startswith(" ") for line in block):
            result += shown_as_it_is(block)
        else:
            result += [inline(" ".join(block), where), ""]
    return result


def blocks(text):
    """Lines between blank lines; indented ones with blank lines between them are one block."""
    found = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = [line.rstrip() for line in part.splitlines() if line.strip()]
        if found and lines and lines[0].startswith("    ") and found[-1][0].startswith("    "):
            found[-1] += ["", *lines]
        elif lines:
            found.append(lines)
    return found


def shown_as_it_is(lines):
    language = "python" if is_python("\n".join(lines)) else "text"
    return [f".. code-block:: {language}", "", *(f"    {line}" for line in lines), ""]


def is_python(text):
    try:
        return any(isinstance(node, ast.Call) for node in ast.walk(ast.parse(text)))
    except SyntaxError:
        return False


def settings(block, where):
    """A definition list of names and what they mean."""
    result, items = [], []
    for line in block:
        found = SETTING.fullmatch(line) if not line.startswith(" ") else None
        if found:
            items.append((found[1], [found[2]]))
        else:
            items[-1][1].append(line)
    for names, body in items:
        result.append(", ".join(f"``{name}``" for name in names.split(", ")))
        result += [f"    {line}".rstrip() for line in meaning(body, where)]
        result.append("")
    return result


def meaning(body, where):
    """The text of a setting; where lines hang below it, and others below these, they are a list."""
    if not any(line.startswith(" " * 8) for line in body[1:]):
        return [inline(" ".join(line.strip() for line in body), where)]
    entries = []
    for line in body[1:]:
        if line.startswith(" " * 8):
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line.strip())
    return [inline(body[0], where), "", *(f"- {inline(entry, where)}" for entry in entries)]


# ---- Words ---------------------------------------------------------------------------------------


def inline(text, where):
    """One paragraph: code between backticks, names of ninc as links, all else as it stands."""
    parts = CODE.split(text)
    for index, part in enumerate(parts):
        if index % 2:
            code = part.strip("`")
            parts[index] = link(code, where) or f"``{code}``"
        else:
            parts[index] = WORD.sub(lambda word: link(word[0], where) or escaped(word[0]), part)
            if parts[index] == part:
                parts[index] = escaped(part)
            else:
                parts[index] = "".join(
                    piece if piece.startswith(":py:") else escaped(piece)
                    for piece in re.split(r"(:py:obj:`[^`]+`)", parts[index])
                )
        if index and index % 2 and parts[index + 1][:1].isalnum():
            parts[index] += "\\ "
    return "".join(parts)


def escaped(text):
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def link(code, where):
    """A link where `code` names something public, seen from the object `where`; else None."""
    target = TARGETS.get(code)
    parts = where.split(".")
    for depth in range(len(parts), 0, -1):
        target = TARGETS.get(".".join([*parts[:depth], code]), target)
        if f"{'.'.join(parts[:depth])}.{code}" in TARGETS:
            break
    if target is None or target == where:
        return None
    return f":py:obj:`{code} <{target}>`"


def targets():
    """Every name that may stand in a docstring -> the name its entry on the site has."""
    found = {}
    for prefix, module in MODULES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue  # modules, constants and types made of others have no entry
            home = f"ninc.{name}" if name in ninc.__all__ else f"{prefix}.{name}"
            short = prefix.rpartition(".")[2]
            for spelt in {name, f"{prefix}.{name}", f"{short}.{name}"}:
                found.setdefault(spelt, home)
            for member, what in vars(value).items() if inspect.isclass(value) else ():
                if member[0] != "_" and callable(what) or isinstance(what, property):
                    for spelt in (f"{name}.{member}", f"{prefix}.{name}.{member}"):
                        found.setdefault(spelt, f"{home}.{member}")
                    found.setdefault(f"{home}.{member}", f"{home}.{member}")
    return found


TARGETS = targets()
