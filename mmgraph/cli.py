"""The command line of mmgraph."""

from __future__ import annotations

import sys

from core.cli.app import Command, run
from core.cli.check import print_devices, print_packages
from core.cli.list import list_command
from core.cli.options import call

ABOUT = "Masked pretraining on graphs."
NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors")
OPTIONAL = {"torch-geometric": "torch-geometric"}


def check() -> None:
    """What is installed, and which optional packages there are."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()


def layouts() -> list[tuple[str, str]]:
    """Names and descriptions of the layouts of data."""
    from mmgraph.data.sources import LAYOUTS

    return [(name, text) for name, (_, text) in LAYOUTS.items()]


def pretrain(words: list[str]) -> None:
    """`mmgraph pretrain`, imported when it is called."""
    from mmgraph.commands.pretrain import main

    main(words)


def probe(words: list[str]) -> None:
    """`mmgraph probe`, imported when it is called."""
    from mmgraph.commands.probe import probe

    call(probe, "mmgraph probe", words)


COMMANDS = [
    Command("pretrain", "RECIPE [--key value ...]", "train by a recipe; --resume goes on with a run", pretrain),
    Command("probe", "RUN", "frozen embeddings by the protocol of the papers, beside controls", probe),
    Command("list", "[GLOB]", "recipes with paper, parameters, data", lambda w: list_command("mmgraph", w, layouts)),
    Command("check", "", "what is installed, and on which devices", lambda w: call(check, "mmgraph check", w)),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mmgraph", ABOUT, COMMANDS))
