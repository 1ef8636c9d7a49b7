"""Parsed once, then memory-mapped: a folder of .npy files for every data source and choice of parameters."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mm3d.data.clouds import PointClouds

FORMAT_VERSION = 2  # to be raised when a loader reads the same files otherwise, too
STALE_SECONDS = 24 * 3600
ARRAYS = ("points", "offsets", "labels", "parts")
_warned: set[str] = set()


def default_cache_dir() -> Path | None:
    """$MM_BEYOND_CACHE, or ~/.cache/mm-beyond; None (no caching) if the variable is "off" or empty."""
    named = os.environ.get("MM_BEYOND_CACHE")
    if named is None:
        return Path.home() / ".cache" / "mm-beyond"
    return None if named.strip().lower() in ("", "off") else Path(named)


def cached(
    name: str,
    sources: Sequence[Path],
    parameters: dict[str, object],
    build: Callable[[], PointClouds],
    cache_dir: str | Path | None = None,
) -> PointClouds:
    """What ``build()`` returns, from the cache where it is there, else built, stored and memory-mapped.

    The key is a hash of the source files' paths, sizes and modification times, of ``parameters`` (JSON) and
    of the format version. An entry is written to a temporary folder and renamed, so that two processes may
    race and a killed one leaves nothing that could be read by half; a damaged entry is built again. A cache
    that cannot be written costs one warning line, and the clouds are returned from memory. What ``build``
    raises passes through.
    """
    root = default_cache_dir() if cache_dir is None else Path(cache_dir)
    if root is None:
        return build()
    folder = root / f"{name}-{cache_key(sources, parameters)}"
    found = _load(folder)
    if found is not None:
        return found
    clouds = build()
    try:
        _store(clouds, folder)
    except OSError as error:
        _warn_once(root, error)
        return clouds
    return _load(folder) or clouds


def cache_key(sources: Sequence[Path], parameters: dict[str, object]) -> str:
    """20 hex digits; a source that is missing counts as such (``build`` will say so)."""
    files = []
    for source in sources:
        try:
            stat = source.stat()
            files.append([str(source.absolute()), stat.st_size, stat.st_mtime_ns])
        except OSError:
            files.append([str(source.absolute()), -1, -1])
    text = json.dumps([FORMAT_VERSION, files, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _store(clouds: PointClouds, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        arrays = {key: getattr(clouds, key) for key in ARRAYS if getattr(clouds, key) is not None}
        for key, array in arrays.items():
            with open(temporary / f"{key}.npy", "wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        about = {
            "version": FORMAT_VERSION,
            "arrays": {key: (temporary / f"{key}.npy").stat().st_size for key in arrays},
            **{key: getattr(clouds, key) for key in ("classes", "names", "part_names", "parts_of_class", "skipped")},
        }
        (temporary / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            os.rename(temporary, folder)
        except OSError:
            if _load(folder) is not None:  # another process was first
                return
            # what is in the way is damaged: it is moved aside, not emptied, since somebody may be reading it
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            os.rename(folder, aside / "damaged")
            os.rename(temporary, folder)
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(folder: Path) -> PointClouds | None:
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about["version"] != FORMAT_VERSION:
            return None
        arrays = {}
        for key, size in about["arrays"].items():
            path = folder / f"{key}.npy"
            if key not in ARRAYS or path.stat().st_size != size:
                return None
            arrays[key] = np.load(path, mmap_mode="r", allow_pickle=False)
        clouds = PointClouds(
            points=arrays["points"],
            offsets=np.array(arrays["offsets"]),
            labels=np.array(arrays["labels"]),
            classes=tuple(about["classes"]),
            names=tuple(about["names"]),
            parts=arrays.get("parts"),
            part_names=tuple(about["part_names"]),
            parts_of_class=tuple(tuple(parts) for parts in about["parts_of_class"]),
            skipped=tuple((item, reason) for item, reason in about["skipped"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    fits = len(clouds.names) == len(clouds.labels) == len(clouds.offsets) - 1 and clouds.offsets[-1] == len(
        clouds.points
    )
    return clouds if fits else None


def _remove_stale(folder: Path) -> None:
    """Temporary folders of killed processes; a day old, so that none in use is taken."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        try:
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue


def _warn_once(root: Path, error: OSError) -> None:
    if str(root) not in _warned:
        _warned.add(str(root))
        reason = error.strerror or str(error)
        print(
            f"warning: {root}: the data cache cannot be written ({reason}); going on without it",
            file=sys.stderr,
        )
