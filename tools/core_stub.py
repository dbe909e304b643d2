"""Holds the stub of the core, python/ninc/_core.pyi, to the module that is installed.

    python tools/core_stub.py [FOLDER]

FOLDER: where another ninc/_core.pyi lies; else the installed one is compared.

stubtest, a part of mypy, compares names, arguments and defaults. pybind11 tells these where Python
does not look, in the first line of a function's documentation; here Python is told to look there,
since stubtest would else compare no argument. It compares no types; that is done here, as far as
pybind11 tells them. Exit status 1 where stub and module differ.
"""

import __future__

import ast
import inspect
import os
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from mypy import stubtest

import ninc._core

ALLOWED = Path(__file__).with_name("core_stub_allowed.txt")

# What pybind11 says, and what the stub says for it: pybind11 takes more for numbers than anybody
# means, and a capsule's class has another name than Python gives it.
MEANT = {
    frozenset({"SupportsInt", "SupportsIndex"}): {"int"},
    frozenset({"SupportsFloat", "SupportsIndex"}): {"float"},
    frozenset({"CapsuleType"}): {"PyCapsule"},
}

pythons_own = inspect.signature


def definition(function: Any) -> Optional[ast.FunctionDef]:
    """What pybind11's documentation says of a function; None for one that is not pybind11's."""
    first = (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]
    name = getattr(function, "__name__", "")
    if not callable(function) or isinstance(function, type) or " -> " not in first:
        return None
    if first.startswith("(arg0:"):  # what a property calls
        first = f"{name or 'given'}{first}"
    elif not first.startswith(f"{name}("):
        return None
    # A class that was not known yet when the function was defined has its name in C++ there.
    (found,) = ast.parse(f"def {first.replace('::', '.')}: ...").body
    assert isinstance(found, ast.FunctionDef)
    return found


def signature(function: Any, **options: Any) -> inspect.Signature:
    """As `inspect.signature`, also for functions of pybind11's."""
    found = definition(function)
    if found is None:
        return pythons_own(function, **options)
    for argument in ast.walk(found.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    made: dict[str, Any] = {}
    exec(f"def made({ast.unparse(found.args)}): ...", made)
    return pythons_own(made["made"])


# ---- Types ---------------------------------------------------------------------------------------


def told(annotation: Optional[ast.expr]) -> set[str]:
    """The classes that pybind11 names, each by its last word: {"str", "None"}."""
    if isinstance(annotation, ast.BinOp):
        return told(annotation.left) | told(annotation.right)
    if isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value).rpartition(".")[2]
        inner = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else None
        return told(inner) if name == "Annotated" else {name}
    return set() if annotation is None else {ast.unparse(annotation).rpartition(".")[2]}


def stubs(hint: Any) -> set[str]:
    """The classes of a type in the stub, likewise."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        return set().union(*map(stubs, typing.get_args(hint)))
    if isinstance(hint, typing.TypeVar):
        return {"object"}
    if hint is type(None):
        return {"None"}
    found = origin or hint
    is_dict = isinstance(found, type) and issubclass(found, dict)
    return {"dict" if is_dict else getattr(found, "__name__", "object")}


def other_types(where: str, stub: Any, runtime: Any) -> Iterator[str]:
    """The types of a function in the stub that are not what pybind11 says."""
    found = definition(runtime)
    if found is None:
        return
    types = {argument.arg: argument.annotation for argument in found.args.args}
    types["return"] = found.returns
    for name, hint in typing.get_type_hints(stub).items():
        words = told(types.get(name))
        words = MEANT.get(frozenset(words), words)
        # An object may be anything, which the core looks at by itself; bytes are taken for a str.
        if words and words != {"object"} and not words <= stubs(hint) <= words | {"bytes"}:
            yield f"{where}: {name} is {stubs(hint)} in the stub and {words} at runtime"


def function_of(value: Any) -> Any:
    """The function of a static method or property; any other as it is."""
    return value.fget if isinstance(value, property) else getattr(value, "__func__", value)


def all_other_types(file: Path) -> Iterator[str]:
    """Those of all functions and methods that both have."""
    flags = __future__.annotations.compiler_flag
    stub: dict[str, Any] = {"__name__": "ninc._core", "__package__": "ninc"}
    exec(compile(file.read_text(), str(file), "exec", flags), stub)
    for name, value in vars(ninc._core).items():
        if isinstance(value, type):
            there = vars(stub.get(name, object))
            for method in sorted(vars(value).keys() & there.keys()):
                runtime = function_of(getattr(value, method))
                yield from other_types(f"{name}.{method}", function_of(there[method]), runtime)
        elif name in stub:
            yield from other_types(name, stub[name], value)


def main(folder: Optional[str] = None) -> int:
    if folder is not None:
        os.environ["MYPYPATH"] = folder
    package = Path(ninc.__file__).parent if folder is None else Path(folder) / "ninc"
    inspect.signature = signature  # type: ignore[assignment]
    arguments = ["ninc._core", "--concise", "--allowlist", str(ALLOWED)]
    status = stubtest.test_stubs(stubtest.parse_options(arguments))
    inspect.signature = pythons_own
    for line in all_other_types(package / "_core.pyi"):
        print(f"ninc._core.{line}")
        status = 1
    if status == 0:
        print("The stub of the core is as the module is.")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
