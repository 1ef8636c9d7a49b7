"""Voxel-MAE's training, masks, probes and pictures on LiDAR sweeps; the model is in ``mm3d/models``."""
