"""Text that stays in its line, whatever characters a name holds."""

from __future__ import annotations

import unicodedata

# Categories of Unicode that move the cursor, end a line, or are no characters at all: control
# characters, halves of surrogate pairs, separators of lines and paragraphs.
_ESCAPED = ("Cc", "Cs", "Zl", "Zp")


def one_line(text: str) -> str:
    """The text with control characters written as escapes: a file name may hold a line's end."""
    return "".join(
        sign.encode("unicode_escape").decode() if unicodedata.category(sign) in _ESCAPED else sign
        for sign in text
    )
