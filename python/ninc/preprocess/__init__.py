"""What happens to a picture before the network sees it, fitted once and stored with the model.

`pictures` reads a file, `framing` brings it to size, `settings` holds what a model says about its
pictures, `statistics` looks at those it is trained on, `whitening` is the original paper's treatment
of them.
"""

from .framing import FITS, Framing
from .pictures import RGB, WHITE, open_picture, picture_name, picture_size
from .settings import KINDS, WHITENING_ARRAYS, Preprocessing
from .whitening import Whitening

__all__ = [
    "FITS",
    "KINDS",
    "RGB",
    "WHITE",
    "WHITENING_ARRAYS",
    "Framing",
    "Preprocessing",
    "Whitening",
    "open_picture",
    "picture_name",
    "picture_size",
]
