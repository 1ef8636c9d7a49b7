"""What the folders of finished runs say of themselves: their seeds and their data."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from core.saving import resolve
from core.training.run import RunFolder


def data_of(source: str | Path) -> str:
    """What a run was trained on.

    Raises:
        UserError: the model comes without a run, or the run had data from Python.
    """
    folder = RunFolder(resolve(source))
    if not (folder.path / "config.yaml").exists():
        raise UserError(f"{source}: a model without a run, which names no data; name some with --data")
    named = folder.config().get("data")
    if not isinstance(named, str) or not named:
        raise UserError(f"{folder.path / 'config.yaml'}: names no data; name some with --data")
    return named


def seed_folders(run: str | Path) -> list[Path | str]:
    """The folders ``seed-N`` of a run in order, or the run itself."""
    found = sorted(Path(run).glob("seed-*"), key=lambda path: (len(path.name), path.name))
    return list(found) or [run]
