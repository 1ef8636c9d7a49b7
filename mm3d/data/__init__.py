"""Point clouds from everywhere, as one type.

| module | what |
|---|---|
| clouds | ``PointClouds`` (clouds of any sizes, packed), ``pack``, ``validate`` |
| files | ``read_points``: one file, meshes sampled by area (``formats``, ``ply``, ``pcd`` parse them) |
| folder | ``folder``: the user's own files, class from the folder name |
| arrays | ``point_arrays``: one .npz of equal clouds; ``voxel_grids``: occupancy grids |
| furniture | ``furniture``: the demo shapes that come with the package |
| modelnet40, scanobjectnn, shapenet55, shapenetpart | public data sets in their public layouts |
| layouts | what those loaders share |
| cache | ``cached``: parsed once, then memory-mapped |
| transforms | augmentations and normalisation of one cloud |
| splits | ``train_val_split``, ``few_shot_episode`` |

Every source is a plain function that returns PointClouds in the source's own coordinates; nothing is
normalised.
"""

from mm3d.data.arrays import point_arrays, voxel_grids
from mm3d.data.cache import cached
from mm3d.data.clouds import PointClouds, pack, validate
from mm3d.data.files import read_points
from mm3d.data.folder import folder
from mm3d.data.furniture import furniture
from mm3d.data.modelnet40 import modelnet10, modelnet40
from mm3d.data.scanobjectnn import scanobjectnn
from mm3d.data.shapenet55 import shapenet55
from mm3d.data.shapenetpart import shapenetpart
from mm3d.data.splits import few_shot_episode, train_val_split

__all__ = [
    "PointClouds",
    "cached",
    "few_shot_episode",
    "folder",
    "furniture",
    "modelnet10",
    "modelnet40",
    "pack",
    "point_arrays",
    "read_points",
    "scanobjectnn",
    "shapenet55",
    "shapenetpart",
    "train_val_split",
    "validate",
    "voxel_grids",
]
