"""`mm3d check`."""

from __future__ import annotations

from core.cli.check import print_devices, print_packages
from core.reporting.tables import Table

NEEDED = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "lightning-fabric",
    "safetensors",
    "trimesh",
    "matplotlib",
    "plotly",
)
OPTIONAL = {"tensorboard": "mm-beyond[tensorboard]", "wandb": "mm-beyond[wandb]"}
OPERATORS = (
    ("farthest_point_sample", "torch, in place, one thread", "torch"),
    ("knn", "torch for small clouds, scipy cKDTree for large", "torch, in chunks"),
    ("ball_query", "torch", "torch"),
    ("chamfer", "torch, analytic backward", "torch, analytic backward"),
    ("earth_mover_distance", "scipy, exact", "scipy on the CPU, exact"),
    ("sparse convolution", "torch, analytic backward", "torch; MM_BEYOND_SPARSE_CONV=spconv or triton takes these"),
)


def check() -> None:
    """What is installed, which optional parts there are, and which paths the operators take."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()
    print(Table(("operator", "on CPU", "on GPU"), OPERATORS).text())
