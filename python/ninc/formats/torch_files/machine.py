"""Goes through a pickle's opcodes and builds plain values and the records of `records`.

Python's own unpickler would do but for strangers: it fills gigabytes for a few bytes that name a
high place in its memo or announce a long bytearray, hashes tuples nested a million deep until the
stack overflows, and takes hours for an integer of a million digits. Here every opcode takes time
and memory in proportion to its own bytes, but for calls, whose arguments may be of other opcodes:
all calls together look at no more elements than the pickle has bytes. And there is a bound on the
number of opcodes.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from ...errors import ModelError
from .records import Inert, Name, Storage, call, dict_key, storage

# A state dict takes some forty opcodes a tensor, an optimiser's beside it three times as many.
_MOST_OPCODES = 2_000_000

# A state dict has some hundred bytes a tensor; what else lies in a checkpoint may be text.
LONGEST_PICKLE = 64 << 20

# A text with a line's end after it: names of classes, and integers of the first protocols.
_LONGEST_LINE = 4096
_MOST_DIGITS = 100


class Machine:
    """Reads one pickle of a file.

    file: open for reading bytes, at the pickle's beginning. end: the file's size.
    storages: all that the pickle has named, by their keys.
    """

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self._bytes_left = LONGEST_PICKLE
        self._elements_left = min(end, _MOST_OPCODES)
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """The value that the pickle makes; the file then stands behind its last opcode."""
        try:
            for _ in range(_MOST_OPCODES):
                code = self._read(1)
                if code == pickle.STOP:
                    return self._stack.pop()
                step = _STEPS.get(code)
                if step is None:
                    raise ModelError(f"the pickle has the opcode {code!r}, which no tensor needs")
                step(self)
        # A stack with too little on it, a place of the memo where nothing lies, bytes that are no
        # text.
        except (IndexError, KeyError, UnicodeDecodeError) as error:
            raise ModelError(f"the pickle is damaged ({type(error).__name__}: {error})") from None
        raise ModelError(f"the pickle has more than {_MOST_OPCODES:,} opcodes, which is too many")

    # ---- Bytes -----------------------------------------------------------------------------------

    def _read(self, count: int) -> bytes:
        # A file would make room for all of them before it notices that they are not there.
        if count > 1 << 16 and count > self._end - self._file.tell():
            raise ModelError(f"the pickle announces {count:,} bytes, more than are left")
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise ModelError(f"the pickle has more than {LONGEST_PICKLE:,} bytes")
        block = self._file.read(count)
        if len(block) < count:
            raise ModelError("the pickle is cut off")
        return block

    def _number(self, form: str) -> int:
        value: int = struct.unpack(form, self._read(struct.calcsize(form)))[0]
        return value

    def _sized(self, form: str) -> bytes:
        count = self._number(form)
        if count < 0:
            raise ModelError(f"the pickle announces {count} bytes")
        return self._read(count)

    def _line(self) -> str:
        line = self._file.readline(_LONGEST_LINE)
        self._bytes_left -= len(line)
        if not line.endswith(b"\n"):
            raise ModelError("the pickle has a line without an end")
        return line[:-1].decode()

    # ---- The stack -------------------------------------------------------------------------------

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        found = self._stack
        self._stack = self._marked.pop()
        return found

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _last(self, count: int) -> tuple[Any, ...]:
        if len(self._stack) < count:
            raise IndexError("pop from an empty stack")
        found = tuple(self._stack[-count:])
        del self._stack[-count:]
        return found

    def _remember(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    # ---- Values ----------------------------------------------------------------------------------

    def _long(self, form: str) -> None:
        self._push(int.from_bytes(self._sized(form), "little", signed=True))

    def _decimal(self) -> None:
        text = self._line()
        if text in ("00", "01"):  # how the first protocols wrote False and True
            return self._push(text == "01")
        digits = text[:-1] if text.endswith("L") else text
        if len(digits) > _MOST_DIGITS or not digits.removeprefix("-").isdecimal():
            raise ModelError("the pickle has an integer that is none, or one of endless digits")
        return self._push(int(digits))

    def _old_text(self, form: str) -> None:
        """A string of Python 2, which names tensors and storages."""
        found = self._sized(form)
        try:
            self._push(found.decode())
        except UnicodeDecodeError:
            self._push(found.decode("latin1"))

    def _text(self, form: str) -> None:
        self._push(self._sized(form).decode("utf-8", "surrogatepass"))

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, (list, Inert)):
            raise ModelError(f"the pickle appends to a value of type {type(target).__name__}")
        (target.members if isinstance(target, Inert) else target).extend(values)

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, (dict, Inert)) or len(values) % 2:
            raise ModelError(f"the pickle sets items of a value of type {type(target).__name__}")
        items = target.items if isinstance(target, Inert) else target
        for key, value in zip(values[::2], values[1::2]):
            items[dict_key(key)] = value

    def _dict(self) -> None:
        values = self._since_mark()
        self._push({})
        self._set(values)

    def _set_of(self, values: list[Any]) -> None:
        made = Inert(Name("builtins", "set"))
        made.members = values
        self._push(made)

    # ---- Names and calls -------------------------------------------------------------------------

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ModelError("the pickle names a class by what is no text")
        if max(len(module), len(name)) > _LONGEST_LINE:
            raise ModelError("the pickle names a class by an endless text")
        self._push(Name(module, name))

    def _call(self, count: int) -> None:
        """function, arguments; a third value would be arguments by name."""
        function, arguments = self._last(count)[:2]
        self._push(call(function, arguments, self._spend))

    def _object(self) -> None:
        found = self._since_mark()
        self._push(call(found[0], tuple(found[1:]), self._spend))

    def _spend(self, elements: int) -> None:
        self._elements_left -= elements
        if self._elements_left < 0:
            raise ModelError("the pickle calls functions with the same long arguments again")

    def _build(self) -> None:
        """What an object's attributes are; a tensor's or a dict's say nothing about weights."""
        target, state = self._last(2)
        if isinstance(target, Inert):
            target.state = state
        self._push(target)

    def _outside(self) -> None:
        found = storage(self._stack.pop())
        if isinstance(found, Storage):
            known = self.storages.setdefault(found.key, found)
            if known.kind != found.kind or known.count != found.count:
                raise ModelError(
                    f"storage {found.key[:80]!r} is a {known.kind} of {known.count:,} elements in "
                    f"one place and a {found.kind} of {found.count:,} in another"
                )
        self._push(found)


def _pushes(make: Callable[[], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine._push(make())


_Step = Callable[[Machine], Any]
_STEPS: dict[bytes, _Step] = {
    pickle.PROTO: lambda m: m._read(1),
    pickle.FRAME: lambda m: m._read(8),
    # Values.
    pickle.NONE: _pushes(lambda: None),
    pickle.NEWTRUE: _pushes(lambda: True),
    pickle.NEWFALSE: _pushes(lambda: False),
    pickle.BININT: lambda m: m._push(m._number("<i")),
    pickle.BININT1: lambda m: m._push(m._number("<B")),
    pickle.BININT2: lambda m: m._push(m._number("<H")),
    pickle.LONG1: lambda m: m._long("<B"),
    pickle.LONG4: lambda m: m._long("<i"),
    pickle.INT: lambda m: m._decimal(),
    pickle.LONG: lambda m: m._decimal(),
    pickle.BINFLOAT: lambda m: m._push(struct.unpack(">d", m._read(8))[0]),
    pickle.SHORT_BINSTRING: lambda m: m._old_text("<B"),
    pickle.BINSTRING: lambda m: m._old_text("<i"),
    pickle.SHORT_BINUNICODE: lambda m: m._text("<B"),
    pickle.BINUNICODE: lambda m: m._text("<I"),
    pickle.BINUNICODE8: lambda m: m._text("<Q"),
    pickle.SHORT_BINBYTES: lambda m: m._push(m._sized("<B")),
    pickle.BINBYTES: lambda m: m._push(m._sized("<I")),
    pickle.BINBYTES8: lambda m: m._push(m._sized("<Q")),
    pickle.BYTEARRAY8: lambda m: m._push(m._sized("<Q")),
    # Values made of others.
    pickle.EMPTY_TUPLE: _pushes(tuple),
    pickle.TUPLE1: lambda m: m._push(m._last(1)),
    pickle.TUPLE2: lambda m: m._push(m._last(2)),
    pickle.TUPLE3: lambda m: m._push(m._last(3)),
    pickle.TUPLE: lambda m: m._push(tuple(m._since_mark())),
    pickle.EMPTY_LIST: _pushes(list),
    pickle.LIST: lambda m: m._push(m._since_mark()),
    pickle.APPEND: lambda m: m._append(list(m._last(1))),
    pickle.APPENDS: lambda m: m._append(m._since_mark()),
    pickle.EMPTY_DICT: _pushes(dict),
    pickle.DICT: lambda m: m._dict(),
    pickle.SETITEM: lambda m: m._set(list(m._last(2))),
    pickle.SETITEMS: lambda m: m._set(m._since_mark()),
    pickle.EMPTY_SET: lambda m: m._set_of([]),
    pickle.ADDITEMS: lambda m: m._append(m._since_mark()),
    pickle.FROZENSET: lambda m: m._set_of(m._since_mark()),
    # The stack and the memo.
    pickle.MARK: lambda m: m._mark(),
    pickle.POP: lambda m: m._pop(),
    pickle.POP_MARK: lambda m: m._since_mark(),
    pickle.DUP: lambda m: m._push(m._stack[-1]),
    pickle.BINGET: lambda m: m._push(m._memo[m._number("<B")]),
    pickle.LONG_BINGET: lambda m: m._push(m._memo[m._number("<I")]),
    pickle.BINPUT: lambda m: m._remember(m._number("<B")),
    pickle.LONG_BINPUT: lambda m: m._remember(m._number("<I")),
    pickle.MEMOIZE: lambda m: m._remember(len(m._memo)),
    # Names, calls and what lies outside of the pickle.
    pickle.GLOBAL: lambda m: m._name(m._line(), m._line()),
    pickle.STACK_GLOBAL: lambda m: m._name(*m._last(2)),
    pickle.REDUCE: lambda m: m._call(2),
    pickle.NEWOBJ: lambda m: m._call(2),
    pickle.NEWOBJ_EX: lambda m: m._call(3),
    pickle.OBJ: lambda m: m._object(),
    pickle.BUILD: lambda m: m._build(),
    pickle.BINPERSID: lambda m: m._outside(),
}
