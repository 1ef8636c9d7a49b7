"""Operators on batches of point clouds: one function each, the same on CPU and GPU."""

from mm3d.ops.ball_query import ball_query
from mm3d.ops.chamfer import chamfer_l1, chamfer_l2, nearest_distances
from mm3d.ops.earth_mover import earth_mover_distance
from mm3d.ops.farthest_point_sample import farthest_point_sample
from mm3d.ops.gather import gather
from mm3d.ops.knn import knn
from mm3d.ops.linear_max import linear_max
from mm3d.ops.sparse_conv import inverse_conv, strided_conv, submanifold_conv, transposed_conv
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid, sparse_voxels
from mm3d.ops.voxelize import voxelize

__all__ = [
    "SparseVoxels",
    "VoxelGrid",
    "ball_query",
    "chamfer_l1",
    "chamfer_l2",
    "earth_mover_distance",
    "farthest_point_sample",
    "gather",
    "inverse_conv",
    "knn",
    "linear_max",
    "nearest_distances",
    "sparse_voxels",
    "strided_conv",
    "submanifold_conv",
    "transposed_conv",
    "voxelize",
]
