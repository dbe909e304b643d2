"""`Predictor`: a network as a function of batches, for Ray Data, Dask and pools of processes."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from .. import control
from .._base.arguments import integer, one_of, share
from .._base.arguments import path as file_path
from .._base.files import reading
from .._base.locks import fork_safe_lock
from ..formats.load import load
from ..inference.mirrored import is_flipped
from .batches import answered
from .choices import Settings
from .threads import given_threads

if TYPE_CHECKING:
    from ..network import Network

# So many networks a process keeps at a time, whichever of its predictors use them.
_KEPT = 2

_loading = fork_safe_lock()


class Predictor:
    """A network as a function of batches of pictures, loaded once in each process.

        import ray

        pictures = ray.data.read_binary_files("s3://bucket/photos", include_paths=True)
        answers = pictures.map_batches(
            ninc.distributed.Predictor,
            fn_constructor_args=("nin.safetensors",),
            compute=ray.data.ActorPoolStrategy(size=2),
            num_cpus=1,
            batch_size=256,
        )
        answers.write_parquet("answers")

    Under Dask, `bag.from_sequence(paths).map_partitions(predictor)` and `ddf.map_partitions`; in a
    pool of processes, `ProcessPoolExecutor().map(predictor, lists_of_paths)`. It is pickled as its
    settings, and a process loads the network when it is first called there.

    path: a model file's name, or its content as bytes, which processes on other machines need not
        find; `ninc.get_pretrained_path()` is a packaged network's.
    threads: how many compute and decode, for the whole process as `ninc.set_num_threads` does it.
        None: as many as the process was given: the CPUs of a Ray actor (its num_cpus, at least 1),
        the threads of a Dask worker (nthreads), elsewhere what ninc uses anyway.
    batch_size: pictures computed at a time, of the larger batches that it is called with.
    tta: as of `Network.predict`.
    at_least: the class is "unsure" where none has this probability, as with `ninc predict
        --at-least`.
    device: "cpu" or "cuda".

    A call gives what `Network.predict` gives of the same pictures, to the bit. Raises ArgumentError
    for settings out of range; what `ninc.load` raises comes with the first call.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | bytes,
        *,
        threads: int | None = None,
        batch_size: int = 64,
        tta: str | None = None,
        at_least: float | None = None,
        device: str = "cpu",
    ) -> None:
        where = "Predictor"
        self.path: str | bytes
        if isinstance(path, bytes):
            self.path = path
        else:
            self.path = os.path.abspath(file_path(where, "path", path))
        if threads is not None:
            threads = integer(where, "threads", threads, highest=2**31 - 1)
        self.threads = threads
        if at_least is not None:
            at_least = share(where, "at_least", at_least)
        is_flipped(where, tta)
        self.settings = Settings(integer(where, "batch_size", batch_size), tta, at_least)
        self.device = one_of(where, "device", device, ("cpu", "cuda"))
        self._network: Network | None = None

    def __call__(self, batch: Any) -> Any:
        """Answers for a batch: one row for each picture, in order, bad ones included.

        batch: a dict of columns, arrays or lists of one length, as Ray Data has them; a pandas
            DataFrame; or an iterable of pictures, each a path, the bytes of a file or H×W×C uint8.
            In columns the pictures are in `bytes`, undecoded files; or in `image`, uint8 of
            H×W×C or H×W each; or, where there is neither, in the files that `path` names. A path
            beside them names the picture in messages.

        Returns columns for columns, a DataFrame for a DataFrame, else a list of dicts. Columns
        `bytes` and `image` are left out, the others stay, and these are added: `class`, the
        likeliest one's name, or "unsure"; `probability`, its float32; `probabilities`, float32 of
        every class (N×classes in columns); `error`. A picture that cannot be read does not end the
        others: its error is told in `error`, its class is "" and its probabilities are NaN. In all
        other rows `error` is "".

        Raises ArgumentError for a batch of another form.
        """
        return answered(self.network(), batch, self.settings)

    def network(self) -> Network:
        """The network, loaded by the process's first call, which also sets its threads."""
        if self._network is None:
            threads = self.threads or given_threads()
            if threads is not None:
                control.set_num_threads(threads)
            with _loading:
                self._network = _loaded(self.path, _version(self.path), self.device)
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    def __repr__(self) -> str:
        given = f"{len(self.path):,} bytes" if isinstance(self.path, bytes) else repr(self.path)
        threads = "" if self.threads is None else f", threads={self.threads}"
        return f"Predictor({given}{threads})"


@functools.lru_cache(maxsize=_KEPT)
def _loaded(path: str | bytes, version: tuple[int, ...], device: str) -> Network:
    """The network on its device. version: see `_version`, so that a changed file is read anew."""
    return load(path).to(device)


def _version(path: str | bytes) -> tuple[int, ...]:
    """What changes when the file is replaced; nothing for bytes, which stay what they are."""
    if isinstance(path, bytes):
        return ()
    with reading(path):
        found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
