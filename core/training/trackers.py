"""Optional trackers beside metrics.jsonl."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self

from core.errors import MissingPackage, UserError


class Tracker(Protocol):
    """Somewhere that numbers go."""

    def log(self, row: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in the run folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackage("tensorboard", "tensorboard", "run.trackers tensorboard") from error
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, row: dict[str, float]) -> None:
        for key, value in row.items():
            if key not in ("step", "epoch"):
                self.writer.add_scalar(key, value, int(row["step"]))

    def close(self) -> None:
        self.writer.close()


def _id(folder: Path) -> str:
    """The same for the same place, so that a resumed run goes on; folders of equal names are told apart."""
    return hashlib.blake2b(str(folder.resolve()).encode(), digest_size=8).hexdigest()


class WandB:
    """A run of Weights & Biases, named after the run folder."""

    def __init__(self, folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingPackage("wandb", "wandb", "run.trackers wandb") from error
        self.run = wandb.init(name=folder.name, dir=str(folder), resume="allow", id=_id(folder))

    def log(self, row: dict[str, float]) -> None:
        self.run.log(row, step=int(row["step"]))

    def close(self) -> None:
        self.run.finish()


def require_trackers(names: tuple[str, ...]) -> None:
    """See that the packages of the trackers asked for are there, importing none.

    Raises:
        MissingPackage: one is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise MissingPackage(name, name, f"run.trackers {name}")


class Trackers:
    """The trackers asked for, closed when a ``with`` block ends, also by an error.

    Raises:
        MissingPackage: one is not installed.
    """

    def __init__(self, names: tuple[str, ...], folder: Path) -> None:
        kinds: dict[str, Callable[[Path], Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB}
        unknown = [name for name in names if name not in kinds]
        if unknown:
            raise UserError(f"run.trackers: unknown {unknown[0]!r}; known: {', '.join(kinds)}")
        self.open = [kinds[name](folder) for name in names]

    def log(self, row: dict[str, float]) -> None:
        for tracker in self.open:
            tracker.log(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for tracker in self.open:
            tracker.close()
