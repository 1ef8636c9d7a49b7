"""How clouds become samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from core.config import at_least


class Patching(Protocol):
    """Settings that say how many patches a cloud has, and of how many points."""

    groups: int
    group_size: int


@dataclass
class PointsConfig:
    """How a stored cloud becomes a sample. These settings change results."""

    count: int = 1024
    """Points a sample."""
    subset: Literal["random", "with_repeats", "farthest"] = "random"
    """Which of the stored points: uniformly chosen ones, all different or (part segmentation in the papers) drawn with
    repeats; or (fine-tuning in the papers) a random part of 1.17 times as many farthest points; evaluation then takes the
    farthest points themselves."""
    normalize: Literal["unit_sphere", "unit_sphere_first", "none"] = "unit_sphere"
    """Centre on the mean and divide by the largest norm: of the sample, or of the whole cloud before points are taken from
    it (fine-tuning in the papers; no farthest point then is near the origin); or leave coordinates as they are."""
    augment: tuple[Literal["scale_and_translate", "scale_and_shift", "rotate_up", "rotate_any", "jitter"], ...] = (
        "scale_and_translate",
    )
    """Augmentations of training, in order."""
    up_axis: Literal[0, 1, 2] = 1
    """The axis that points up, for rotate_up and for pictures."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a file that cannot be used does: stop the run, or be skipped and listed in the run folder."""

    def __post_init__(self) -> None:
        at_least(self, 1, "count")


def check_count(points: PointsConfig, groups: int, size: int) -> None:
    """Refuse samples with fewer points than there are patches, or than a patch has; for ``__post_init__``."""
    if points.count < max(groups, size):
        raise ValueError(
            f"points.count {points.count}: fewer than {groups} patches of {size} points need; "
            f"expected at least {max(groups, size)}"
        )
