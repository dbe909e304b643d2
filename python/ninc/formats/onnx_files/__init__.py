"""Networks of ONNX files: `reader` makes ninc's networks of them.

`files` brings a model in, `tensors` reads its numbers, and `program` says which nodes lead from its
input to its output. `walk` goes from node to node: `folding` computes what depends on constants
alone, by numpy, and the table in `operations` makes a `steps.Step` of each other node. What a node
gives is a `views.View`, a step's N×C×H×W with the axes as ONNX sees them, so that transposes and
reshapes cost nothing. `patterns` knows functions that files write as several nodes, by the
`polynomials` in them; `simplify` folds arithmetic into the layers before it; `build` makes the
network.
"""
