"""The command line of mmgraph."""

from __future__ import annotations

import sys

from core.cli.app import Command, run
from core.cli.check import print_devices, print_packages
from core.cli.list import list_command
from core.cli.modules import commands_of
from core.cli.options import call

ABOUT = "Masked pretraining on graphs: pretrain, probe, fine-tune and look."
NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors", "matplotlib")
OPTIONAL = {"torch-geometric": "torch-geometric"}


def check() -> None:
    """What is installed, and which optional packages there are."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()


def layouts() -> list[tuple[str, str]]:
    """Names and descriptions of the layouts of data."""
    from mmgraph.data.sources import LAYOUTS

    return [(name, text) for name, (_, text) in LAYOUTS.items()]


_words, _typed = commands_of("mmgraph")

COMMANDS = [
    Command("list", "[GLOB]", "recipes with paper, parameters, data", lambda w: list_command("mmgraph", w, layouts)),
    _words("pretrain", "RECIPE", "train a recipe; leaves a run folder with report.html"),
    _typed("probe", "RUN", "frozen embeddings: the papers' protocol, SVM, kNN; beside controls, over seeds"),
    _words("finetune", "RUN", "classes of nodes or graphs"),
    _typed("embed", "RUN", "embeddings of nodes or graphs as an npz"),
    _typed("convert", "OFFICIAL.pth RECIPE", "weights of an official repository as ours"),
    Command("check", "", "what is installed, and on which devices", lambda w: call(check, "mmgraph check", w)),
    _typed("demo", "", "all of it, small, on built-in data, ending with a report"),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mmgraph", ABOUT, COMMANDS))
