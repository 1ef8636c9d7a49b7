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
    Folders ``train``, ``val``, ``test`` directly under ``root`` are splits where there are no others
    (``split_folders``): ``split`` picks one, without it all are read; classes are then the folders below,
    numbered over all splits alike. Meshes are sampled with ``num_points`` points each. Hidden files and other
    suffixes than those of ``mm3d.data.files.SUFFIXES`` are passed over. A bad file raises UserError, or
    with ``on_error="skip"`` is listed in ``.skipped`` with the reason. UserError if ``root`` is not a
    folder, the split is missing, it cannot be told whether there are splits, or nothing is left.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder" if not root.exists() else f"{root}: a file; expected a folder of files"
        )
    splits = split_folders(root)
    if split is not None and split not in splits:
        raise NoSplit(
            f"{root}: no split {split!r}; expected a folder of that name, one of {', '.join(SPLITS)}, "
            "and none of other names beside it"
        )
    shared = [root / name for name in splits] or [root]
    bases = shared if split is None else [root / split]
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


def split_folders(root: Path) -> tuple[str, ...]:
    """Which of "train", "val", "test" are splits of ``root``; () if its folders are classes.

    They are splits if ``root`` has no other folders: beside others, ``train`` is a class like them. Hidden folders
    do not count, nor do others without point files, which can be no classes. UserError where folders stand both
    beside and below those names, for then either reading would leave something out or mix it up.
    """
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    splits = tuple(name for name in SPLITS if name in folders)
    others = [name for name in folders if name not in SPLITS and point_files(root / name)] if splits else []
    if not others:
        return splits
    for name in splits:
        if any(p.is_dir() and not p.name.startswith(".") for p in (root / name).iterdir()):
            raise UserError(
                f"{root}: either {name}/ is a split, with a folder a class in it, and {others[0]}/ does not belong "
                f"there, or {name}/ and {others[0]}/ are both classes; move {others[0]}/ away, or rename {name}/"
            )
    return ()


def _class_of(path: Path, base: Path) -> str:
    parts = path.relative_to(base).parts
    return parts[0] if len(parts) > 1 else ""
