"""The command line of mmbio."""

from __future__ import annotations

import sys

from core.cli.app import Command, run
from core.cli.check import print_devices, print_packages
from core.cli.list import list_command
from core.cli.modules import commands_of
from core.cli.options import call

ABOUT = "Masked pretraining on proteins and molecules: pretrain, probe, fine-tune and look."
NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors", "matplotlib")
OPTIONAL = {
    "rdkit": "mm-beyond[bio]",
    "gemmi": "mm-beyond[bio]",
    "pyhmmer": "mm-beyond[bio]",
    "torch_geometric": "mm-beyond[graph]",
}


def check() -> None:
    """What is installed, and which optional packages there are."""
    print_packages(NEEDED, OPTIONAL)
    print_devices()


def layouts() -> list[tuple[str, str]]:
    """Names and descriptions of the layouts of data."""
    from mmbio.data.sources import LAYOUTS

    return [(name, text) for name, (_, text) in LAYOUTS.items()]


_words, _typed = commands_of("mmbio")

COMMANDS = [
    Command("list", "[GLOB]", "recipes with paper, parameters, data", lambda w: list_command("mmbio", w, layouts)),
    _words("pretrain", "RECIPE", "train a recipe; leaves a run folder with report.html"),
    _words("tokenize", "RECIPE", "train a tokenizer, whose codes a masked model predicts; leaves a run folder"),
    _typed("probe", "RUN --data ...", "score frozen features beside controls; perplexity where there are no labels"),
    _words("finetune", "RUN --data ...", "train on labelled data; the epoch is selected on validation data"),
    _words("embed", "RUN INPUT... -o x.npz", "features of sequences or residues of your own files"),
    _words("reconstruct", "RUN INPUT...", "sequences, what was hidden of them, and what the model names there"),
    _typed("convert", "OFFICIAL", "weights of an official repository as a folder of ours"),
    Command("check", "", "what is installed, and on which devices", lambda w: call(check, "mmbio check", w)),
    _typed("demo", "", "all of it, small, on built-in data, ending with a report"),
]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run("mmbio", ABOUT, COMMANDS))
