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


def check() -> None:
    """What is installed, which optional parts there are, and which paths the operators take."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()
    from mm3d.ops.paths import paths

    print(Table(("operator", "on CPU", "on GPU"), paths()).text())
