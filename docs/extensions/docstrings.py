"""Turns the docstrings of ninc, which are plain text, into what Sphinx reads.

Docstrings are written to be read in a terminal. Four things in them have a form:

    `name`                     code, and a link where it is a public name of ninc
    name: what it means,       a setting; several of them, one after another, become a list
        and more of it
    (indented by four)         code or a formula, shown as it stands
    Raises ArgumentError       names of ninc's exceptions and classes are links without more

All else is prose, in which no character has a meaning of its own.

The names of ninc between backticks in pages, such as `ninc.Trainer`, are links, too.

In signatures the names of constants become their values, and of several signatures the one for
arrays in a GPU's memory comes last.
"""

import ast
import functools
import inspect
import re
import sys
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
    app.connect("builder-inited", order_overloads)
    app.connect("doctree-read", link_names)
    app.connect("html-page-context", mend_links_of_sources)
    return {"parallel_read_safe": True}


def process(app, what, name, obj, options, lines):
    """Replaces the lines of one docstring."""
    lines[:] = converted("\n".join(lines), name)


def name_types(app, what, name, obj, options, signature, returned):
    """Short names of types within others, which Sphinx 9.0 shows as it holds them.

    A default that is a constant's name is shown as its value.
    """
    held = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    signature, returned = (text and held.sub(r"\1", text) for text in (signature, returned))
    module = sys.modules.get(getattr(obj, "__module__", None) or "")

    def value(found):
        return f"{found[1]}{getattr(module, found[2])!r}" if hasattr(module, found[2]) else found[0]

    return signature and re.sub(r"(= ?)([A-Z][A-Z_]+)\b", value, signature), returned


def order_overloads(app):
    """What takes arrays of the processor's memory comes first: it is what most readers look for."""
    from sphinx.pycode import ModuleAnalyzer

    objects = map(object_of, set(TARGETS.values()))
    for module in {getattr(value, "__module__", None) for value in objects} - {None}:
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        for signatures in analyzer.overloads.values():
            signatures.sort(key=lambda signature: "OnGpu" in str(signature))


def link_names(app, doctree):
    """Links of a page's code that is a public name, from `ninc.` on."""
    from docutils import nodes
    from sphinx.addnodes import desc_signature, pending_xref

    for code in list(doctree.findall(nodes.literal)):
        target = TARGETS.get(code.astext().removesuffix("()"))
        inside, node = set(), code
        while node.parent is not None:
            node = node.parent
            inside.add(type(node))
        if not target or not code.astext().startswith("ninc."):
            continue
        if not inside & {nodes.title, nodes.reference, pending_xref, desc_signature}:
            names = dict(refdomain="py", reftype="obj", reftarget=target, refexplicit=True)
            code.replace_self(pending_xref("", code.deepcopy(), refdoc=app.env.docname, **names))


def mend_links_of_sources(app, page, template, context, doctree):
    """The links "[docs]" in sources lead to the names that entries have on the site.

    Sphinx takes all entries of one source file for members of one module.
    """
    if page.startswith("_modules/"):
        link = re.compile(r'(class="viewcode-back" href="[^"#]*#)([\w.]+)')
        context["body"] = link.sub(lambda to: to[1] + TARGETS.get(to[2], to[2]), context["body"])


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
            # Words that may be names stand at the odd places.
            pieces = re.split(f"({WORD.pattern})", part)
            for place, piece in enumerate(pieces):
                is_name = place % 2 and link(piece, where)
                pieces[place] = is_name or escaped(piece)
            parts[index] = "".join(pieces)
        if index and index % 2 and parts[index + 1][:1].isalnum():
            parts[index] += "\\ "
    # A word with a full stop, such as "s.", would begin a numbered list.
    return re.sub(r"^(\w+)([.)])(?=\s|$)", r"\1\\\2", "".join(parts))


def escaped(text):
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def link(code, where):
    """A link where `code` names something public, seen from the object `where`; else None.

    `where`'s own module is asked first: in `ninc.Dataset`, `load` is `ninc.data.load`.
    """
    parts = where.split(".")
    fronts = [".".join(parts[:depth]) for depth in range(len(parts), 1, -1)]
    spelt = [f"{front}.{code}" for front in (*fronts, public_module(where), "ninc")]
    target = next((TARGETS[name] for name in (*spelt, code) if name in TARGETS), None)
    if target is None or target == where:
        return None
    return f":py:obj:`{code} <{target}>`"


@functools.cache
def public_module(where):
    """The public module that the object `where` was written for: "ninc.data" of "ninc.Dataset"."""
    module = getattr(object_of(where), "__module__", None) or "ninc"
    while module not in MODULES:
        module = module.rpartition(".")[0] or "ninc"
    return module


def object_of(name):
    """The object with this name, None where there is none."""
    value = ninc
    for part in name.split(".")[1:]:
        value = getattr(value, part, None)
    return value


def targets():
    """Every name that may stand in a docstring -> the name its entry on the site has."""
    found = {}
    for prefix, module in MODULES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue  # modules, constants and types made of others have no entry
            home = f"ninc.{name}" if getattr(ninc, name, None) is value else f"{prefix}.{name}"
            short = prefix.rpartition(".")[2]
            for spelt in {name, f"{prefix}.{name}", f"{short}.{name}"}:
                found.setdefault(spelt, home)
            bases = reversed(value.__mro__) if inspect.isclass(value) else ()
            own = [base for base in bases if base.__module__.startswith("ninc")]
            for member, what in (entry for base in own for entry in vars(base).items()):
                if member[0] != "_" and callable(what) or isinstance(what, property):
                    for spelt in (f"{name}.{member}", f"{prefix}.{name}.{member}"):
                        found.setdefault(spelt, f"{home}.{member}")
                    found.setdefault(f"{home}.{member}", f"{home}.{member}")
    return found


TARGETS = targets()
