"""What checkpoints of other code bases hold beside weights and nobody here reads: it stays closed."""

from __future__ import annotations

from typing import Any, Self


class Unread:
    """Stands for an object of a checkpoint: takes whatever it is made of, keeps nothing and runs nothing."""

    def __new__(cls, *parts: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *parts: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


UNREAD: list[Any] = [
    (Unread, name)
    for name in (
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.ndarray",
        "numpy.dtype",
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    )
]
"""Names in checkpoints of Lightning that keep random states (arrays of numpy) and states of callbacks, as MolFormer's do."""
