"""The command line of mm3d."""

from __future__ import annotations

import sys
from importlib import import_module

from core.cli.app import Command, run
from core.cli.options import call

ABOUT = "Masked pretraining on 3D point clouds: pretrain, probe, fine-tune and look."


def _words(name: str, usage: str, text: str) -> Command:
    """A command whose module parses its own words with ``main(words)``."""
    return Command(name, usage, text, lambda words: import_module(f"mm3d.commands.{name}").main(words))


def _typed(name: str, usage: str, text: str) -> Command:
    """A command that is the typed function of the same name in its module."""
    return Command(
        name,
        usage,
        text,
        lambda words: call(getattr(import_module(f"mm3d.commands.{name}"), name), f"mm3d {name}", words),
    )


COMMANDS = [
    _words("list", "[GLOB]", "recipes with paper, parameters, data"),
    _words("pretrain", "RECIPE", "train a recipe; leaves a run folder with report.html"),
    _typed("probe", "RUN --data ...", "frozen features: linear SVM, logistic, kNN; mean and std over seeds"),
    _words("finetune", "RUN --data ...", "classification, part segmentation, few-shot"),
    _words("embed", "RUN INPUT... -o x.npz", "features of your files"),
    _words("reconstruct", "RUN INPUT...", "input, what the network saw, what it made of that: picture and page"),
    _typed("convert", "OFFICIAL.pth OUT", "weights of the official repository as ours"),
    _typed("check", "", "what is installed, and which paths are active"),
    _typed("demo", "", "all of it, small, on built-in data, ending with a report"),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mm3d", ABOUT, COMMANDS))
