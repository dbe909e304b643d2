"""Pictures and labels to train and test with.

    train = ninc.data.load("pets")            # pets/train/CLASS/*.jpg, or pets/CLASS/*.jpg
    test = ninc.data.load("pets", "test")     # pets/test/CLASS/*.jpg, or pets/val, or some held out

`load` says which formats there are. A reader is one file in `readers` and one word in
`locate.READERS`. Batches from elsewhere come in as a `BatchStream`.
"""

from .dataset import Dataset, as_dataset
from .load import has_test, load, splits
from .pictures import PictureFiles
from .stream import BatchStream

__all__ = ["BatchStream", "Dataset", "PictureFiles", "as_dataset", "has_test", "load", "splits"]
