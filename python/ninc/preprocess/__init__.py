"""What happens to a picture before the network sees it, fitted once and stored with the model.

`pictures` reads a file and brings it to size, `settings` holds what a model says about its
pictures, `whitening` is the original paper's treatment of them.
"""

from .pictures import fit_picture, open_picture
from .settings import KINDS, WHITENING_ARRAYS, Preprocessing
from .whitening import Whitening

__all__ = [
    "KINDS",
    "WHITENING_ARRAYS",
    "Preprocessing",
    "Whitening",
    "fit_picture",
    "open_picture",
]
