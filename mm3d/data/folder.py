"""A folder of the user's own files as a data set: the class is the name of the first folder."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, pack
from mm3d.data.files import SUFFIXES, read_points
from mm3d.data.layouts import NoSplit

SPLITS = ("train", "val", "test")


def folder(
    root: str | Path,
    num_points: int = 2048,
    on_error: OnError = "stop",
    seed: int = 0,
    split: str | None = None,
    minimum: int = 1,
    cache_dir: str | Path | None = None,
) -> PointClouds:
    """All point files and meshes under ``root``, recursively, in sorted order.

    The class of a file is the first folder below ``root``; files directly in ``root`` have no label (-1).
    Folders ``train``, ``val``, ``test`` directly under ``root`` are splits: ``split`` picks one (classes
    are then the folders below it, numbered over all splits alike); without ``split``, if there are no other
    folders, all are read. Meshes are sampled with ``num_points`` points each. Hidden files and other
    suffixes than those of ``mm3d.data.files.SUFFIXES`` are passed over. A bad file raises UserError, or
    with ``on_error="skip"`` is listed in ``.skipped`` with the reason. UserError if ``root`` is not a
    folder, the split is missing, or nothing is left.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder" if not root.exists() else f"{root}: a file; expected a folder of files"
        )
    bases = _bases(root, split)
    shared = bases if root in bases else [root / s for s in SPLITS if (root / s).is_dir()]
    found = {base: point_files(base) for base in shared}  # all splits, for they number the classes alike
    paths = [path for base in bases for path in found[base]]
    if not paths:
        where = root if split is None else root / split
        raise UserError(f"{where}: no point files; expected some of {', '.join(SUFFIXES)}")
    classes = sorted({_class_of(path, base) for base in shared for path in found[base]} - {""})
    number = {name: index for index, name in enumerate(classes)}
    labels = [number.get(_class_of(path, base), -1) for base in bases for path in found[base]]
    names = [str(path.relative_to(root)) for path in paths]

    def build() -> PointClouds:
        values, kept, skipped = collect(
            str(root), names, lambda i: read_points(paths[i], num_points, seed, minimum), on_error
        )
        return pack(values, [labels[i] for i in kept], classes, [names[i] for i in kept], skipped=skipped)

    parameters: dict[str, object] = {
        "num_points": num_points, "on_error": on_error, "seed": seed, "minimum": minimum,
        "classes": classes, "split": split,
    }  # fmt: skip
    return cached("folder", paths, parameters, build, cache_dir)


def point_files(root: Path) -> list[Path]:
    """Files under ``root`` whose suffix is known, sorted by path; nothing hidden."""
    return sorted(
        path for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )  # fmt: skip


def _bases(root: Path, split: str | None) -> list[Path]:
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if split is not None:
        if split not in SPLITS or split not in folders:
            raise NoSplit(f"{root}: no split {split!r}; expected a folder of that name, one of {', '.join(SPLITS)}")
        return [root / split]
    if folders and set(folders) <= set(SPLITS):
        return [root / s for s in SPLITS if s in folders]
    return [root]


def _class_of(path: Path, base: Path) -> str:
    parts = path.relative_to(base).parts
    return parts[0] if len(parts) > 1 else ""
