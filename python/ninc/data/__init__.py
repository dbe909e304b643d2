"""Pictures and labels to train and test with.

    train = ninc.data.load("pets")            # pets/train/CLASS/*.jpg, or pets/CLASS/*.jpg
    test = ninc.data.load("pets", "test")     # pets/test/CLASS/*.jpg, or pictures held out

A reader is one file here and one line in `load.READERS`.
"""

from .dataset import Dataset, as_dataset
from .load import load

__all__ = ["Dataset", "as_dataset", "load"]
