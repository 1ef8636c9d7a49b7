"""Training, masks, targets and pictures of the models on pillars of LiDAR sweeps; these are in ``mm3d/models``."""
