"""Protocol Buffers, as bytes and as text: what is read, and what is refused in one sentence."""

import numpy as np
import pytest

from ninc.errors import ModelError
from ninc.formats.protobuf import schema as schema_module
from ninc.formats.protobuf.schema import MOST_FIELDS, Schema
from ninc.formats.protobuf.text import read_text
from ninc.formats.protobuf.wire import read_message
from support.formats.caffe_files import field, varint

INNER = Schema(size=(1, "int"), names=(2, "text*"))
ALL = Schema(
    whole=(1, "int"),
    several=(2, "int*"),
    real=(3, "float"),
    reals=(4, "float*"),
    yes=(5, "bool"),
    name=(6, "text"),
    raw=(7, "bytes"),
    kind=(8, {"FIRST": 0, "SECOND": 1}),
    inner=(9, INNER),
    inners=(10, [INNER]),
    floats=(11, "floats"),
    doubles=(12, "doubles"),
    ignored=(13, "skip"),
)


def read(content):
    return read_message(content, ALL, "file")


def fixed64(number, value):
    return varint(number << 3 | 1) + np.float64(value).tobytes()


# ---- Bytes ---------------------------------------------------------------------------------------


def test_every_kind_of_field():
    message = read(
        field(1, 300) + field(2, 1) + field(2, varint(2) + varint(-3)) + field(3, 0.5)
        + field(4, 1.5) + field(4, np.float32([2, 3]).tobytes()) + field(5, 1) + field(6, "ä")
        + field(7, b"\xff\0") + field(8, 1) + field(9, field(1, 7)) + field(10, field(2, "a"))
        + field(10, b"") + field(13, "x") + field(13, 2.5)
    )  # fmt: skip
    assert message.get("whole") == 300 and message.all("several") == [1, 2, -3]
    assert message.get("real") == 0.5 and message.all("reals") == [1.5, 2.0, 3.0]
    assert message.get("yes") is True and message.get("name") == "ä"
    assert message.get("raw") == b"\xff\0" and message.get("kind") == "SECOND"
    assert message.message("inner").get("size") == 7
    assert [one.all("names") for one in message.all("inners")] == [["a"], []]
    assert message.unknown is None and "ignored" not in message
    assert message.get("floats", 5) == 5 and message.all("floats") == []


def test_a_number_is_whole_or_negative_to_64_bits():
    for number in (0, 1, 127, 128, 2**32, 2**63 - 1, -1, -(2**63)):
        assert read(field(1, number)).get("whole") == number
    assert read(b"\x08" + b"\xff" * 9 + b"\x7f").get("whole") == -1  # more bits than there are


def test_unknown_fields_are_passed_over_and_remembered():
    content = field(20, 5) + field(21, b"abc") + field(22, 1.5) + fixed64(23, 2.0) + field(1, 4)
    message = read(content)
    assert message.get("whole") == 4 and message.unknown == "field 20"
    assert read(field(8, 9)).get("kind") == "9"  # an enum's number without a name


def runs(*lengths):
    """Unpacked floats in runs, with another field between them, and packed ones at the end."""
    numbers = np.arange(sum(lengths), dtype=np.float32)
    content, at = b"", 0
    for length in lengths:
        content += b"".join(field(11, float(one)) for one in numbers[at : at + length])
        content += field(1, 5) if at == 0 else field(20, 5)
        at += length
    return content + field(11, numbers.tobytes()), np.concatenate([numbers, numbers])


@pytest.mark.parametrize("lengths", [(1,), (2, 1), (63, 64, 65), (1, 200, 1, 500), (0, 3)])
def test_floats_packed_or_not(lengths):
    content, expected = runs(*lengths)
    got = read(content.replace(field(1, 5), b"")).array("floats")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


def test_doubles():
    content = fixed64(12, 1.5) + fixed64(12, 2.5) + field(12, np.float64([3.5]).tobytes())
    np.testing.assert_array_equal(read(content).array("doubles"), [1.5, 2.5, 3.5])
    assert read(b"").array("doubles").shape == (0,)


CUT = 2**64 - 1
DAMAGED = {
    "a tag that does not end": (b"\xff" * 20, "byte 10 a number does not end"),
    "a tag that is cut off": (b"\x80", "a number does not end"),
    "a number that does not end": (b"\x08" + b"\x80" * 11, "a number does not end"),
    "a length beyond the end": (b"\x32\x05abc", "5 bytes are to follow, and 3 are there"),
    "a huge length": (b"\x32" + varint(CUT), "18,446,744,073,709,551,615 bytes are to follow"),
    "a float that is cut off": (b"\x1d\0\0", "4 bytes are to follow, and 2"),
    "a double that is cut off": (b"\x61\0\0", "8 bytes are to follow, and 2"),
    "a group": (b"\x0b\x0c", "begins no field"),
    "a type that is none": (b"\x0f", "begins no field"),
    "the number 0": (b"\x00\x01", "begins no field"),
    "another type": (field(1, b"abc"), "whole is of type 2 instead of 0"),
    "a float for text": (field(6, 1.0), "name is of type 5 instead of 2"),
    "a packed number where one may be": (field(3, b"\0\0\0\0"), "real is of type 2 instead of 5"),
    "floats that are cut off": (field(11, b"\0" * 7), "floats has 7 bytes, no multiple of 4"),
    "two where one may be": (field(1, 1) * 2, "there are two whole where one may be"),
    "two messages where one may be": (field(9, b"") * 2, "there are two inner"),
    "inside": (field(9, field(1, b"a")), "byte 4 in inner 1 size is of type 2"),
    "inside the second": (field(10, b"") + field(10, b"\x80"), "in inners 2 a number does not"),
    "out of a message": (field(9, b"\x12\x03a"), "in inner 1 3 bytes are to follow, and 1"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_bytes(name):
    content, words = DAMAGED[name]
    with pytest.raises(ModelError, match="^file: at byte") as told:
        read(content)
    assert words in str(told.value)


@pytest.mark.parametrize(
    "content",
    [
        field(10, b"") * (MOST_FIELDS + 1),
        field(2, b"\1" * (MOST_FIELDS + 1)),
        field(4, b"\0\0\0\0" * (MOST_FIELDS + 1)),
        field(20, 1) * (MOST_FIELDS + 1),
        (field(11, 1.0) + field(20, 1)) * MOST_FIELDS,  # runs of one
    ],
    ids=["messages", "packed numbers", "packed floats", "unknown ones", "short runs"],
)
def test_too_many_fields(content):
    with pytest.raises(ModelError, match="more than 262,144 fields"):
        read(content)


def test_many_unpacked_floats_are_read_as_one_run():
    content = field(11, 1.0) * 3_000_000
    assert read(content).array("floats").sum() == 3_000_000


# ---- Text ----------------------------------------------------------------------------------------


def read_words(text):
    return read_text(text, ALL, "file")


def test_every_kind_of_text():
    message = read_words("""
        # a comment: with { signs
        whole: -12 several: 1; several: 0x1F, several: [017, 4,]
        real: 1.5f reals: [.5, 2., -1e-3] reals: inf
        yes: true name: "a\\n\\101\\x42\\"" 'c' kind: SECOND
        inner { size: 1 names: "x" names: 'y' } inners: < size: 2 > inners {}
        ignored { anything { at: all } here: [1, two, "three"] } ignored: word
        raw: "r"
    """)
    assert message.get("whole") == -12 and message.all("several") == [1, 31, 15, 4]
    assert message.all("reals") == [0.5, 2.0, -1e-3, float("inf")] and message.get("real") == 1.5
    assert message.get("yes") is True and message.get("name") == 'a\nAB"c'
    assert message.get("kind") == "SECOND" and message.get("raw") == "r"
    assert message.message("inner").all("names") == ["x", "y"]
    assert [one.get("size") for one in message.all("inners")] == [2, None]
    assert message.unknown is None
    assert read_words("").all("several") == []


def test_words_and_numbers_for_one_thing():
    for text in ("yes: t", "yes: True", "yes: 1"):
        assert read_words(text).get("yes") is True
    assert read_words("yes: false").get("yes") is False
    assert read_words("kind: 1").get("kind") == read_words('kind: "SECOND"').get("kind")
    assert read_words("kind: THIRD").get("kind") == "THIRD"  # whoever uses it refuses


def test_unknown_names_are_passed_over_and_remembered():
    message = read_words("other { deep { er: 1 } } whole: 4 another: [1, 2]")
    assert message.get("whole") == 4 and message.unknown == "other"


MISTAKES = {
    "whole 3": "whole needs a value, after a colon",
    "whole:": "a value is needed; the end stands there",
    "whole: 1.5": "whole cannot be 1.5",
    "whole: many": "whole cannot be many",
    "whole: 089": "whole cannot be 089",
    "whole: " + "9" * 5000: "whole cannot be 9999",
    "real: " + "9" * 5000: "real cannot be 9999",
    "whole: 1 whole: 2": "there are two whole where one may be",
    'whole: "1"': "whole is no text",
    "kind: " + "9" * 5000: "kind cannot be 9999",
    "kind: " + "N" * 5000: "kind cannot be NNNN",
    'kind: "' + "N" * 5000 + '"': "kind cannot be NNNN",
    "yes: perhaps": "yes cannot be perhaps",
    "name: word": "name cannot be word",
    "name: 5": "name cannot be 5",
    'name: "a': "nothing begins so",
    "name: 'a\n'": "nothing begins so",
    "inner: 3": "inner needs a message in braces",
    "whole { }": "whole needs a value and no message",
    "inner { size: 1": "a field's name is needed or }; the end",
    "inner < size: 1 }": "a field's name is needed or >",
    "}": "a field's name is needed; '}'",
    "several: [1 2]": "a comma or ] is needed",
    "several: [": "a value is needed",
    "several: [{}]": "a value is needed",
    "[ext]: 3": "a field's name is needed",
    "whole: 3 $": "nothing begins so; '$'",
    "-whole: 3": "a field's name is needed",
    "\n\n  \n?": "file, line 4: nothing begins so",
    "a {" * 40: "messages lie in one another more than 32 deep",
    "inner {" * 3: "line 1: messages lie",
}
MISTAKES.pop("inner {" * 3)  # `inner` has no field of that name, so it is passed over


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_in_text(text):
    with pytest.raises(ModelError, match="^file, line") as told:
        read_words(text)
    assert MISTAKES[text] in str(told.value) and len(str(told.value)) < 300


BOMBS = {
    "deep": "a {" * 200_000,
    "deep lists": "a: [" * 200_000,
    "wide": "a: 1 " * 300_000,
    "wide lists": "several: [" + "1," * 300_000 + "]",
    "passed over": "a { " + "b {} " * 300_000,
    "comments": "#\n" * 500_000 + "?",
    "blanks": " \n" * 500_000 + "?",
    "empty strings": "name: " + '""' * 4_000_000,
    "empty comments": "#\n" * 4_000_000,
    "comments in a value": "name: " + "#\n" * 4_000_000 + '"a"',
    "strings": "name: " + '"a" ' * 200_000 + "?",
    "backslashes": 'name: "' + "\\" * 500_001,
    "digits": "whole: " + "1" * 1_000_000,
    "dots": "real: " + "1." * 500_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_one_sentence(name):
    with pytest.raises(ModelError) as told:
        read_words(BOMBS[name])
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("name", ["empty strings", "empty comments", "comments in a value"])
def test_pieces_of_strings_and_comments_count_as_fields_do(name):
    with pytest.raises(ModelError, match="more than 262,144 fields and comments"):
        read_words(BOMBS[name])
    message = read_words("# one\nname: # two\n'a' # three\n'b' # four")
    assert message.get("name") == "ab"


def test_a_text_that_is_too_long(monkeypatch):
    from ninc.formats.protobuf import text

    monkeypatch.setattr(text, "LARGEST_TEXT", 10)
    with pytest.raises(ModelError, match="has 11 characters, more than any"):
        read_words("whole:    1")
    assert schema_module.MOST_FIELDS == 262_144
