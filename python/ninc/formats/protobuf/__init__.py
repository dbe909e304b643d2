"""Reads Protocol Buffers, as bytes and as text, of messages whose fields a schema names.

Nothing is taken on trust: lengths, nesting and the number of fields are checked before memory is
taken for what they promise. The formats: protobuf.dev/programming-guides/encoding and
protobuf.dev/reference/protobuf/textformat-spec.
"""
