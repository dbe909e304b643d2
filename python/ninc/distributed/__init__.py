"""Work that many processes or machines share out.

`Predictor` answers for pictures by the million; `Workers` train one network together. Nothing here
needs mpi4py, Ray, Dask or pyarrow to be imported; what does need one says so when it is used.
"""

TYPE_CHECKING = False  # typing's own, without importing typing
if TYPE_CHECKING:
    from .predictor import Predictor as Predictor
    from .workers import Workers as Workers

__all__ = ["Predictor", "Workers"]

if not TYPE_CHECKING:  # a checker would take any name at all for one that is there

    def __getattr__(name: str) -> object:
        if name == "Predictor":
            from .predictor import Predictor

            globals()[name] = Predictor  # the next use does not come here
            return Predictor
        if name == "Workers":
            from .workers import Workers

            globals()[name] = Workers
            return Workers
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})
