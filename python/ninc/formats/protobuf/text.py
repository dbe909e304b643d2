"""Reads messages as people write them, in the text format.

    message = (name ":"? "{" message "}" | name ":" value | name ":" "[" value, ... "]")*

`<` and `>` may stand for braces, and `,` or `;` after a field. A comment goes from # to the line's
end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from ...errors import ModelError
from .schema import MOST_FIELDS, Field, Message, Schema

# Networks are described in less than a megabyte, three levels deep.
LARGEST_TEXT = 16 << 20
_MOST_LEVELS = 32

_TOKEN = re.compile(
    r"""(?P<blank> [\s]+ | \#[^\n]* )
    | (?P<word> -?[A-Za-z_][A-Za-z0-9_]* )
    | (?P<number> [-+]? (?: 0[xX][0-9a-fA-F]+
                          | (?:[0-9]+\.?[0-9]*|\.[0-9]+) (?:[eE][-+]?[0-9]+)? ) f? )
    | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | (?P<sign> [{}<>\[\]:,;] )""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}
# Characters, of words of an enum, too. Python takes the square of the time for integers' digits.
_LONGEST_NUMBER = 100

_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_TRUTH = {
    **dict.fromkeys(("true", "True", "t", "1"), True),
    **dict.fromkeys(("false", "False", "f", "0"), False),
}


def read_text(text: str, schema: Schema, where: str) -> Message:
    """The message that all of `text` is; `where` is the file's name, for errors.

    Raises ModelError, with the line, where it is no such message.
    """
    if len(text) > LARGEST_TEXT:
        raise ModelError(
            f"{where}: has {len(text):,} characters, more than any network's description has "
            f"({LARGEST_TEXT:,})"
        )
    return _Parser(text, where).message(schema)


class _Parser:
    """kind and token: what stands next; kind "" at the end."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.fields = 0
        self.start = self.end = 0
        self.kind = self.token = ""
        self._next()

    def message(self, schema: Schema) -> Message:
        """All of the text. Messages that are open lie on a list, so that depth costs no stack."""
        found: Message = Message()
        open_now: list[tuple[Message, Schema | None, str]] = [(found, schema, "")]
        while self.kind or len(open_now) > 1:
            message, known, closing = open_now[-1]
            if self.token == closing and self.kind == "sign":
                open_now.pop()
                self._next()
                self._separator()
                continue
            if self.kind != "word" or self.token[0] == "-":
                self._fail(f"a field's name is needed{f' or {closing}' if closing else ''}")
            name = self.token
            self._next()
            field = known.by_name.get(name) if known is not None else None
            if field is None and known is not None:
                message.unknown = message.unknown or name
            inner = self._field(message, field, name)
            if inner is not None:
                if len(open_now) > _MOST_LEVELS:
                    self._fail(f"messages lie in one another more than {_MOST_LEVELS} deep")
                open_now.append(inner)
        return found

    def _field(
        self, message: Message, field: Field | None, name: str
    ) -> tuple[Message, Schema | None, str] | None:
        """Takes what follows a field's name; of a message its beginning, which is returned."""
        self._count()
        has_colon = self._taken(":")
        of_interest = field is not None and field.kind != "skip"
        if self.kind == "sign" and self.token in _CLOSING:
            inner, schema = Message(), None
            if field is not None and of_interest:
                if field.kind != "message":
                    self._fail(f"{name} needs a value and no message")
                schema = field.schema
                self._put(message, field, inner)
            closing = _CLOSING[self.token]
            self._next()
            return inner, schema, closing
        if not has_colon:
            self._fail(f"{name} needs a value, after a colon, or a message in braces")
        if field is not None and field.kind == "message":
            self._fail(f"{name} needs a message in braces")
        take = self._value(field if of_interest else None)
        if self._taken("["):
            while not self._taken("]"):
                self._count()
                take(message)
                if not self._taken(",") and self.token != "]":
                    self._fail("a comma or ] is needed")
        else:
            take(message)
        self._separator()
        return None

    def _value(self, field: Field | None) -> Callable[[Message], None]:
        """What takes one value, and puts it into a message where a field is of interest."""

        def take(message: Message) -> None:
            kind, token = self.kind, self.token
            if kind not in ("word", "number", "string"):
                self._fail("a value is needed")
            value = None
            if field is not None and kind != "string":
                value = self._of_kind(field, kind, token)
            self._next()
            if kind == "string":
                pieces = [_unescaped(token)]
                while self.kind == "string":  # strings that follow one another are one
                    self._count()
                    pieces.append(_unescaped(self.token))
                    self._next()
                value = "".join(pieces)
                if field is not None and field.kind not in ("text", "bytes", "enum"):
                    self._fail(f"{field.name} is no text")
                if field is not None and field.kind == "enum" and len(value) > _LONGEST_NUMBER:
                    self._fail(f"{field.name} cannot be {value[:40]}")
            if field is not None:
                self._put(message, field, value)

        return take

    def _of_kind(self, field: Field, kind: str, token: str) -> Any:
        """A word or number as the field's kind has it."""
        if field.kind == "bool" and token in _TRUTH:
            return _TRUTH[token]
        if len(token) <= _LONGEST_NUMBER:
            if field.kind == "enum":
                return field.enum.get(int(token), token) if token.isdigit() else token
            try:
                if field.kind == "int" and kind == "number":
                    digits = token.lstrip("+-")
                    is_octal = digits[:1] == "0" and digits.isdigit()
                    return int(token, 8 if is_octal else 0)
                if field.kind in ("float", "floats", "doubles"):
                    return float(token.rstrip("f") if kind == "number" else token)
            except ValueError:
                pass
        self._fail(f"{field.name} cannot be {token[:40]}")

    def _count(self) -> None:
        self.fields += 1
        if self.fields > MOST_FIELDS:
            self._fail(f"there are more than {MOST_FIELDS:,} fields and comments up to there")

    def _put(self, message: Message, field: Field, value: Any) -> None:
        if not message.put(field, value):
            self._fail(f"there are two {field.name} where one may be")

    # ---- Tokens ----------------------------------------------------------------------------------

    def _next(self) -> None:
        """Goes on to the next token that is no blank and no comment."""
        self.kind = "blank"
        while self.kind == "blank":
            self.start = self.end
            if self.start == len(self.text):
                self.kind = self.token = ""
                return
            match = _TOKEN.match(self.text, self.start)
            if match is None:
                self.token = self.text[self.start : self.start + 1]
                self._fail("nothing begins so")
            self.kind, self.token, self.end = match.lastgroup or "", match[0], match.end()
            if self.token[0] == "#":
                self._count()

    def _taken(self, sign: str) -> bool:
        if self.kind != "sign" or self.token != sign:
            return False
        self._next()
        return True

    def _separator(self) -> None:
        if not self._taken(","):
            self._taken(";")

    def _fail(self, what: str) -> NoReturn:
        line = self.text.count("\n", 0, self.start) + 1
        token = repr(self.token[:40]) if self.token else "the end"
        raise ModelError(f"{self.where}, line {line:,}: {what}; {token} stands there")


def _unescaped(quoted: str) -> str:
    """What a string holds between its quotation marks."""

    def replaced(match: re.Match[str]) -> str:
        octal, hexadecimal, letter = match.groups()
        if octal or hexadecimal:
            return chr(int(octal, 8) if octal else int(hexadecimal, 16))
        return _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(replaced, quoted[1:-1])
