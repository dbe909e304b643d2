"""Pictures that several threads decode or resize when asked, and keep while there is room."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from .._base.arguments import flag, listed, path, shown, whole
from .._base.array_types import Bytes, Integers
from .._base.locks import fork_safe_lock
from .._base.parallel import in_parallel
from ..errors import ArgumentError, FileError, ShapeError
from ..preprocess import Framing, open_picture, picture_size
from .source import Advance, Digest, Failed, Source

# So many bytes of each file count in a fingerprint; 60,000 small pictures then take about a second.
_IDENTIFYING_BYTES = 4096


class _Room:
    """Memory for `count` pictures of some that are decoded."""

    def __init__(self, shape: Sequence[int], count: int) -> None:
        # The place of each picture in `pixels`, or -1. A kept picture is never given up for
        # another: an epoch visits each once, so that as many are found whichever are kept.
        self.slots = np.full(shape[0], -1, np.int64)
        # The system gives the memory only as pictures come in.
        self.pixels = np.empty((count, *shape[1:]), np.uint8)
        self.used = 0


class DecodedSource(Source):
    """Pictures that cost work to make: `decode` makes one, on several threads at a time."""

    by_pixels = False

    def __init__(self, shape: Sequence[int], threads: int | None = None) -> None:
        super().__init__(shape)
        self.threads = threads  # None means as many as ninc uses at the time
        # Exchanged as one, and taken up once by who reads: `keep` may be called meanwhile.
        self._room = _Room(self.shape, 0)
        # Held while numbers of the room, or of its pictures, are read or written. Not while pixels
        # are: those of a slot that `slots` tells do not change, and who has seen it there under the
        # lock sees them, too.
        self._lock = fork_safe_lock()

    def decode(self, index: int) -> Bytes:
        """H×W×C uint8 of one picture."""
        raise NotImplementedError

    def keep(self, limit: int) -> None:
        each = int(np.prod(self.shape[1:], dtype=np.int64))
        count = min(len(self), limit // max(1, each))
        self._room = _Room(self.shape, count)

    def read(
        self, indices: Integers, advance: Advance | None = None, failed: Failed | None = None
    ) -> Bytes:
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        room = self._room
        with self._lock:
            slots = room.slots[indices]
        there = np.flatnonzero(slots >= 0)
        pixels[there] = room.pixels[slots[there]]
        if advance is not None and there.size:
            advance(len(there))
        missing = np.flatnonzero(slots < 0)

        def decode(place: int) -> None:
            try:
                pixels[place] = self._decode_and_keep(indices[place])
            except FileError as error:
                if failed is None:
                    raise
                failed[int(place)] = error
                pixels[place] = 0

        in_parallel(decode, missing, self.threads, advance)
        return pixels

    def _decode_and_keep(self, index: int) -> Bytes:
        pixels = self.decode(index)
        room = self._room
        with self._lock:
            slot = room.used
            if slot == len(room.pixels):
                return pixels
            room.used += 1
        room.pixels[slot] = pixels
        with self._lock:
            room.slots[index] = slot  # others see the place only now, when the pixels are there
        return pixels


class PictureFiles(DecodedSource):
    """Files that Pillow can read, as N×H×W×C uint8.

    framing: what they become; with size None for files that are all of one size.
    threads: decode on so many; None uses what the process may.
    root: `identify` tells names from here on, so that they do not depend on where a folder lies.
    tolerant: where the size has to be looked up, a damaged file is passed over for the next one.

    Reading raises FileError for a damaged file and ShapeError for one of another size, by name.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        framing: Framing,
        threads: int | None = None,
        root: str | os.PathLike[str] | None = None,
        tolerant: bool = False,
    ) -> None:
        where = "PictureFiles"
        names = listed(where, "files", files, "a list of file names")
        self.files = [path(where, "files", name) for name in names]
        if not isinstance(framing, Framing):
            raise ArgumentError(f"{where}: framing must be a Framing, got {shown(framing)}")
        self.framing: Framing = framing
        self.root = None if root is None else path(where, "root", root)
        threads = None if threads is None else whole(where, "threads", threads)
        tolerant = flag(where, "tolerant", tolerant)
        self._model = ""  # the file that others are compared with
        size = framing.size or self._look_up(tolerant)
        super().__init__((len(self.files), *size, framing.channels), threads)
        # What `identify` tells a file by, as it was when it was decoded: its number of bytes, which
        # is -1 before that, and a digest of the first of them.
        self._sizes = np.full(len(self.files), -1, np.int64)
        self._marks = np.zeros(len(self.files), np.uint64)

    def _look_up(self, tolerant: bool) -> tuple[int, int]:
        for file in self.files:
            try:
                image = open_picture(file)
            except FileError:
                if not tolerant or file == self.files[-1]:
                    raise
            else:
                self._model = file
                return image.height, image.width
        raise FileError("PictureFiles: without files, a size must be given")

    def decode(self, index: int) -> Bytes:
        file = self.files[index]
        pixels = self.framing.pixels(file)
        self._note(index)
        if pixels.shape != self.shape[1:]:
            height, width, _ = pixels.shape
            raise ShapeError(
                f"{file}: {height}×{width} pixels, but {self._model} has "
                f"{self.shape[1]}×{self.shape[2]}; give a size to bring all to"
            )
        return pixels

    def name(self, index: int) -> str:
        return self.files[index]

    def survey(self, indices: Integers) -> list[tuple[int, int]]:
        sizes = []
        for index in indices:
            with contextlib.suppress(FileError):  # raised when its turn comes
                sizes.append(picture_size(self.files[index]))
        return sizes

    def identify(self, digest: Digest, indices: Integers) -> None:
        """Takes names, sizes and first bytes; pixels differ in last bits between decoders."""
        _identify_framing(digest, self.framing, self.shape)
        for index in indices:
            file = self.files[index]
            name = os.path.relpath(file, self.root) if self.root else os.path.basename(file)
            with self._lock:  # the two belong together
                size, mark = int(self._sizes[index]), int(self._marks[index])
            if size < 0:
                size, mark = self._note(index)
            words = f"{name.replace(os.sep, '/')}\0{size}\0{mark}\0"
            digest.update(words.encode(errors="surrogateescape"))

    def _note(self, index: int) -> tuple[int, int]:
        """Notes size and a digest of the first bytes, which tell another picture of this size."""
        file = self.files[index]
        try:
            with open(file, "rb") as opened:
                beginning = opened.read(_IDENTIFYING_BYTES)
                size = os.fstat(opened.fileno()).st_size
        except OSError as error:
            raise FileError.of(error, f"{file}: cannot be found any more", file) from error
        mark = int.from_bytes(hashlib.blake2b(beginning, digest_size=8).digest(), "little")
        with self._lock:
            self._sizes[index], self._marks[index] = size, mark
        return size, mark


class FittedPictures(DecodedSource):
    """Pictures of another source brought to a size and a number of channels, as files are."""

    def __init__(self, base: Source, framing: Framing, threads: int | None = None) -> None:
        self.framing: Framing = framing
        size = framing.size or base.shape[1:3]
        super().__init__((len(base), *size, framing.channels), threads)
        self._base = base

    def decode(self, index: int) -> Bytes:
        pixels = self._base.read(np.array([index]))[0]
        if pixels.shape[:2] == self.shape[1:3] and pixels.shape[2] == 1:
            # Makes RGB of grey without Pillow; a picture that has the size is taken for one cut out
            # before.
            return np.broadcast_to(pixels, self.shape[1:])
        return self.framing.pixels(pixels)

    def name(self, index: int) -> str:
        return self._base.name(index)

    def survey(self, indices: Integers) -> list[tuple[int, int]]:
        return self._base.survey(indices)

    def identify(self, digest: Digest, indices: Integers) -> None:
        _identify_framing(digest, self.framing, self.shape)
        self._base.identify(digest, indices)


def _identify_framing(digest: Digest, framing: Framing, shape: tuple[int, ...]) -> None:
    """Adds to `digest` how the pictures were brought to their size; the usual way adds nothing."""
    size = None if framing.size is None else tuple(shape[1:3])
    digest.update(repr((size, framing.channels)).encode())
    usual = Framing(framing.size, framing.channels)
    for word in ("resize", "fit", "ground"):
        value = getattr(framing, word)
        if value != getattr(usual, word):
            digest.update(f" {'from' if word == 'resize' else word} {value}".encode())
