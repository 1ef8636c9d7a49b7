"""The command line of mm3d."""

from __future__ import annotations

import sys

from core.cli.app import run
from core.cli.modules import commands_of

ABOUT = "Masked pretraining on 3D point clouds: pretrain, probe, fine-tune and look."


_words, _typed = commands_of("mm3d")

COMMANDS = [
    _words("list", "[GLOB]", "recipes with paper, parameters, data"),
    _words(
        "tokenize",
        "RECIPE",
        "train a tokenizer, whose codes a masked model predicts; leaves a run folder with report.html",
    ),
    _words("pretrain", "RECIPE", "train a recipe; leaves a run folder with report.html"),
    _typed("probe", "RUN --data ...", "frozen features: linear SVM, logistic, kNN; mean and std over seeds"),
    _words("finetune", "RUN --data ...", "classification, part segmentation, few-shot; classes of voxels of sweeps"),
    _words("embed", "RUN INPUT... -o x.npz", "features of your files"),
    _words(
        "reconstruct",
        "RUN INPUT...",
        "input, what the network saw or its codes, what it made of that: picture and page",
    ),
    _typed("convert", "OFFICIAL.pth OUT", "weights of the official repository as ours"),
    _typed("check", "", "what is installed, and which paths are active"),
    _typed("demo", "", "all of it, small, on built-in data, ending with a report"),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mm3d", ABOUT, COMMANDS))
