"""What a run or an evaluation has to say, on one page that opens without a server.

A report's folder holds `report.html`, one file with its style and pictures in it, and
`report.json`, the same in numbers. `recorder` follows a training run, or evaluates a network, and
fills a `Record`, which `page` shows; `runs` finds records on disk and `compare` lays them side by
side. A page asks nothing of anyone: no script, no font, no file; its own policy forbids it.

`markup` writes elements and escapes text, `document` is the frame of a page, `style` has the
colours; `curves` and `confusion` draw; `answers` chooses pictures, `pictures` and `image_data` make
them part of the page; `choice` says how far results can be trusted.
"""
