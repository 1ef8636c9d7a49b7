"""PointClouds: clouds of any sizes in one packed array; what every data source of mm3d returns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from core.errors import UserError

OnError = Literal["stop", "skip"]
T = TypeVar("T")

FINGERPRINT_ROWS = 65536


@dataclass(frozen=True)
class PointClouds:
    """M clouds, packed: cloud i is ``points[offsets[i]:offsets[i + 1]]``.

    Arrays may be read-only memory maps. Nothing here is normalised: coordinates are as the source gave them.
    """

    points: np.ndarray  # (total, 3) float32 or float16
    offsets: np.ndarray  # (M + 1,) int64, strictly increasing from 0 to total
    labels: np.ndarray  # (M,) int64, index into classes, -1 = no label
    classes: tuple[str, ...]
    names: tuple[str, ...]  # (M,) where each came from
    parts: np.ndarray | None = None  # (total,) int64 part label of each point, -1 = none
    part_names: tuple[str, ...] = ()
    parts_of_class: tuple[tuple[int, ...], ...] = ()  # part ids that each class may have, () where not known
    skipped: tuple[tuple[str, str], ...] = ()  # (item, reason) of what the source held and could not be used

    def __len__(self) -> int:
        return len(self.labels)

    def cloud(self, index: int) -> np.ndarray:
        """Cloud ``index`` as a float32 copy (N_i, 3); IndexError outside -M..M-1."""
        start, stop = self._bounds(index)
        return np.array(self.points[start:stop], dtype=np.float32)

    def parts_of(self, index: int) -> np.ndarray:
        """Part labels of cloud ``index`` as an int64 copy (N_i,); ValueError if there are none."""
        if self.parts is None:
            raise ValueError("these clouds have no part labels")
        start, stop = self._bounds(index)
        return np.array(self.parts[start:stop], dtype=np.int64)

    def _bounds(self, index: int) -> tuple[int, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"cloud {index} of {len(self)}")
        index = index % len(self)
        return int(self.offsets[index]), int(self.offsets[index + 1])

    @property
    def sizes(self) -> np.ndarray:
        """(M,) int64 number of points in each cloud."""
        return np.diff(self.offsets)

    def subset(self, indices: Sequence[int] | np.ndarray) -> PointClouds:
        """The clouds at ``indices``, in that order, repeats allowed; points are copied into memory.

        ``classes`` and the list of skipped items stay. Takes integer indices or a boolean (M,) mask;
        IndexError outside 0..M-1.
        """
        chosen = np.asarray(indices)
        if chosen.dtype == bool:
            if chosen.shape != (len(self),):
                raise ValueError(f"a boolean mask has to be ({len(self)},), not {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64).reshape(-1)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise IndexError(f"indices {chosen.min()}..{chosen.max()} of {len(self)} clouds")
        sizes = self.sizes[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        points = np.empty((offsets[-1], 3), self.points.dtype)
        parts = None if self.parts is None else np.empty(offsets[-1], np.int64)
        for new, old in enumerate(chosen):  # slices, not one fancy index: a memory map is read in runs
            target, (start, stop) = slice(offsets[new], offsets[new + 1]), self._bounds(int(old))
            points[target] = self.points[start:stop]
            if parts is not None and self.parts is not None:
                parts[target] = self.parts[start:stop]
        names = tuple(self.names[i] for i in chosen)
        labels = np.asarray(self.labels)[chosen]
        return replace(self, points=points, offsets=offsets, labels=labels, names=names, parts=parts)

    def fingerprint(self) -> str:
        """16 hex digits that name this content, the same on every machine.

        sha256 over shapes, dtype, offsets, labels, classes, names, part names and a stride of at most
        65,536 rows of points and parts: cheap for memory maps, so an edit of single points can go unseen.
        """
        stride = max(1, -(-len(self.points) // FINGERPRINT_ROWS))
        digest = hashlib.sha256()
        head = [
            list(self.points.shape),
            self.points.dtype.name,
            stride,
            self.classes,
            self.names,
            self.part_names,
            self.parts_of_class,
            self.parts is not None,
        ]
        digest.update(json.dumps(head).encode())
        arrays = [self.offsets, self.labels, self.points[::stride]]
        arrays += [] if self.parts is None else [self.parts[::stride]]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def validate(clouds: PointClouds) -> PointClouds:
    """The same object, if all its parts fit together.

    Raises ValueError for arrays of wrong shape or dtype; UserError, naming the cloud, for one without
    points, with NaN or infinite coordinates, or with a label outside the classes or a part outside those of
    its class.
    """
    count, total = len(clouds.labels), len(clouds.points)
    if clouds.points.ndim != 2 or clouds.points.shape[1] != 3 or clouds.points.dtype.name not in ("float32", "float16"):
        raise ValueError(
            f"points have to be (total, 3) float32 or float16, not {clouds.points.shape} {clouds.points.dtype}"
        )
    if clouds.offsets.shape != (count + 1,) or clouds.offsets[0] != 0 or clouds.offsets[-1] != total:
        raise ValueError(f"offsets have to be ({count + 1},) from 0 to {total}")
    if len(clouds.names) != count:
        raise ValueError(f"{count} labels but {len(clouds.names)} names")
    if clouds.parts is not None and clouds.parts.shape != (total,):
        raise ValueError(f"parts have to be ({total},), not {clouds.parts.shape}")
    for index in np.flatnonzero(clouds.sizes <= 0):
        raise UserError(f"{clouds.names[index]}: no points")
    for index in np.flatnonzero((clouds.labels < -1) | (clouds.labels >= len(clouds.classes))):
        raise UserError(
            f"{clouds.names[index]}: label {clouds.labels[index]} is outside "
            f"the {len(clouds.classes)} classes; "
            f"expected 0..{len(clouds.classes) - 1}, or -1 for none"
        )
    for i in range(count):
        start, stop = clouds._bounds(i)
        if bad := int((~np.isfinite(clouds.points[start:stop]).all(axis=1)).sum()):
            raise UserError(f"{clouds.names[i]}: {bad} of {stop - start} points have NaN or infinite coordinates")
        if clouds.parts is not None:
            _validate_parts(clouds, i, clouds.parts[start:stop])
    return clouds


def _validate_parts(clouds: PointClouds, index: int, parts: np.ndarray) -> None:
    label, limit = int(clouds.labels[index]), len(clouds.part_names)
    known = label >= 0 and len(clouds.parts_of_class) > label
    allowed = clouds.parts_of_class[label] if known else tuple(range(limit))
    found = np.unique(parts)
    wrong = found[(found < -1) | ((found >= 0) & ~np.isin(found, allowed))]
    if len(wrong):
        whose = f"class {clouds.classes[label]}" if known else "this data"
        raise UserError(
            f"{clouds.names[index]}: part label {wrong[0]} is not one of {whose}; expected {list(allowed)[:8]} or -1"
        )


def pack(
    clouds: Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray | None = None,
    classes: Sequence[str] = (),
    names: Sequence[str] | None = None,
    parts: Sequence[np.ndarray] | None = None,
    part_names: Sequence[str] = (),
    parts_of_class: Sequence[Sequence[int]] = (),
    skipped: Sequence[tuple[str, str]] = (),
) -> PointClouds:
    """Clouds (N_i, 3) of any sizes -> validated PointClouds.

    float16 only if every cloud is float16, else float32. Without ``labels`` all are -1; without ``names``
    they are "0", "1", ... Raises what ``validate`` raises.
    """
    for index, cloud in enumerate(clouds):
        if cloud.ndim != 2 or cloud.shape[1] != 3:
            raise ValueError(f"cloud {index} has to be (N, 3), not {cloud.shape}")
        if parts is not None and parts[index].shape != (len(cloud),):
            raise ValueError(f"parts of cloud {index} have to be ({len(cloud)},), not {parts[index].shape}")
    half = len(clouds) > 0 and all(cloud.dtype == np.float16 for cloud in clouds)
    dtype = np.float16 if half else np.float32
    sizes = [len(cloud) for cloud in clouds]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    points = np.concatenate([np.zeros((0, 3), dtype), *clouds], dtype=dtype, casting="unsafe")
    packed_parts = None
    if parts is not None:
        packed_parts = np.concatenate([np.zeros(0, np.int64), *parts], dtype=np.int64, casting="unsafe")
    return validate(
        PointClouds(
            points=points,
            offsets=offsets,
            labels=np.full(len(sizes), -1, np.int64)
            if labels is None
            else np.asarray(labels, dtype=np.int64).reshape(-1),
            classes=tuple(str(c) for c in classes),
            names=tuple(str(i) for i in range(len(sizes))) if names is None else tuple(str(n) for n in names),
            parts=packed_parts,
            part_names=tuple(str(p) for p in part_names),
            parts_of_class=tuple(tuple(int(p) for p in allowed) for allowed in parts_of_class),
            skipped=tuple((str(item), str(reason)) for item, reason in skipped),
        )
    )


def collect(
    what: str, names: Sequence[str], read: Callable[[int], T], on_error: OnError
) -> tuple[list[T], list[int], list[tuple[str, str]]]:
    """``read(i)`` for every name -> what it gave, the indices that worked, and (name, reason) of the others.

    ``on_error="stop"`` lets the first UserError through; "skip" notes it and goes on. UserError, naming
    ``what``, if nothing at all could be read.
    """
    if on_error not in ("stop", "skip"):
        raise ValueError(f"on_error is {on_error!r}; expected 'stop' or 'skip'")
    values: list[T] = []
    kept: list[int] = []
    skipped: list[tuple[str, str]] = []
    for index, name in enumerate(names):
        try:
            values.append(read(index))
            kept.append(index)
        except UserError as error:
            if on_error == "stop":
                raise
            skipped.append((name, str(error)))
    if not values:
        first = f"; the first: {skipped[0][1]}" if skipped else ""
        raise UserError(f"{what}: none of {len(names)} clouds could be used{first}")
    return values, kept, skipped
