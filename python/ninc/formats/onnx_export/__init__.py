"""Writes networks as ONNX files.

`operations` is the table from ninc's operations to ONNX's, `builder` gathers what its rows make of
a network, and `export` makes the file of it, with what a network says of itself beside.
"""
