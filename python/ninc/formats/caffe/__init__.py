"""Networks of Caffe: `reader` reads their files, the others make ninc's networks of them.

`files` brings them in, `schema` names the fields of Caffe's messages, and `net` gives the layers of
a net whatever its format. `wiring` says which layer feeds which, `settings` reads what each layer
is told, and `operations` is the table from Caffe's layers to ninc's, which `builder` puts together.
`blobs` reads weights, `pictures` what is done to pictures.
"""
