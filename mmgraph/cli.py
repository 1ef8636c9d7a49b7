"""The command line of mmgraph."""

from __future__ import annotations

import sys

from core.cli.app import Command, run
from core.cli.check import print_devices, print_packages
from core.cli.list import list_command
from core.cli.options import call

ABOUT = "Masked pretraining on graphs. No system is here yet."
NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors")
# What the planned systems build on.
OPTIONAL = {"torch-geometric": "torch-geometric"}


def check() -> None:
    """What is installed, and which optional packages there are."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()


COMMANDS = [
    Command("list", "[GLOB]", "recipes with paper, parameters, data", lambda w: list_command("mmgraph", w)),
    Command("check", "", "what is installed, and on which devices", lambda w: call(check, "mmgraph check", w)),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mmgraph", ABOUT, COMMANDS))
