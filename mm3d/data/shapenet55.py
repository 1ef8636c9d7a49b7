"""ShapeNet55 (Yu et al., "PoinTr", ICCV 2021): 52,470 shapes of 55 classes for pretraining."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import UserError
from mm3d.data.cache import cached
from mm3d.data.clouds import OnError, PointClouds, collect, validate
from mm3d.data.files import read_points
from mm3d.data.layouts import check_split, find_folder, read_lines

SYNSETS = {
    "02691156": "airplane", "02747177": "trash bin", "02773838": "bag", "02801938": "basket",
    "02808440": "bathtub", "02818832": "bed", "02828884": "bench", "02843684": "birdhouse",
    "02871439": "bookshelf", "02876657": "bottle", "02880940": "bowl", "02924116": "bus",
    "02933112": "cabinet", "02942699": "camera", "02946921": "can", "02954340": "cap", "02958343": "car",
    "02992529": "cellphone", "03001627": "chair", "03046257": "clock", "03085013": "keyboard",
    "03207941": "dishwasher", "03211117": "display", "03261776": "earphone", "03325088": "faucet",
    "03337140": "file cabinet", "03467517": "guitar", "03513137": "helmet", "03593526": "jar",
    "03624134": "knife", "03636649": "lamp", "03642806": "laptop", "03691459": "loudspeaker",
    "03710193": "mailbox", "03759954": "microphone", "03761084": "microwave", "03790512": "motorbike",
    "03797390": "mug", "03928116": "piano", "03938244": "pillow", "03948459": "pistol",
    "03991062": "flowerpot", "04004475": "printer", "04074963": "remote", "04090263": "rifle",
    "04099429": "rocket", "04225987": "skateboard", "04256520": "sofa", "04330267": "stove",
    "04379243": "table", "04401088": "telephone", "04460130": "tower", "04468005": "train",
    "04530566": "watercraft", "04554684": "washer",
}  # fmt: skip


def shapenet55(
    root: str | Path, split: str, on_error: OnError = "stop", cache_dir: str | Path | None = None
) -> PointClouds:
    """ShapeNet55, 41,952 train and 10,518 test shapes of 8,192 points, all kept and not normalised.

    ``root`` holds ``ShapeNet-55/{train,test}.txt`` and ``shapenet_pc/*.npy``; file names are
    ``<synset>-<model>.npy`` and the synset is the class. ``split`` "all" is both, as Point-BERT pretrains;
    Point-MAE takes "train". Building the cache holds all points in memory once (4.1 GB for "train"). Raises
    UserError for anything missing or damaged, or with ``on_error="skip"`` lists bad files in ``.skipped``.
    """
    check_split(split, ("train", "test", "all"), "shapenet55")
    folder = find_folder(root, ("ShapeNet-55",), ("ShapeNet55-34", "ShapeNet55"), "ShapeNet55")
    lists = [folder / "ShapeNet-55" / f"{s}.txt" for s in (("train", "test") if split == "all" else (split,))]
    names = [line for path in lists for line in read_lines(path)]
    synsets = list(SYNSETS)
    labels = []
    for name in names:
        synset = name.split("-")[0]
        if synset not in SYNSETS:
            raise UserError(
                f"{lists[0]}: {name}: synset {synset!r} is not one of the 55; expected names like 02691156-1a04e3ea.npy"
            )
        labels.append(synsets.index(synset))
    paths = [folder / "shapenet_pc" / name for name in names]

    def build() -> PointClouds:
        # each file goes to its place at once, so that the peak is the corpus and not its double
        points = np.empty((sum(_rows(path) for path in paths), 3), np.float32)
        ends = [0]

        def read(index: int) -> None:
            cloud = read_points(paths[index])
            points[ends[-1] : ends[-1] + len(cloud)] = cloud
            ends.append(ends[-1] + len(cloud))

        _, kept, skipped = collect("shapenet55", names, read, on_error)
        return validate(
            PointClouds(
                points=points[: ends[-1]],
                offsets=np.array(ends, np.int64),
                labels=np.array([labels[i] for i in kept], np.int64),
                classes=tuple(SYNSETS.values()),
                names=tuple(names[i] for i in kept),
                skipped=tuple(skipped),
            )
        )

    return cached("shapenet55", [*paths, *lists], {"split": split, "on_error": on_error}, build, cache_dir)


def _rows(path: Path) -> int:
    """Number of points by the header of a .npy file; 0 where there is none (reading it will say why)."""
    try:
        return len(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError):
        return 0
