"""The command line in this process, and tiny data and recipes to use it on."""

from __future__ import annotations

from pathlib import Path

import torch
from one_command import Said, command_of, write_recipe

from mmbio.cli import ABOUT, COMMANDS

RECIPE = {
    "system": "esm2",
    "model": {"dim": 16, "depth": 1, "heads": 2},
    "text": {"longest": 40, "held_out": 0.2},
    "optim": {"warmup_epochs": 0, "lr": 0.01},
    "train": {"epochs": 2, "batch_size": 8},
    "run": {"accelerator": "cpu", "log_steps": 1},
}

OPTIONS = {
    "classes": "label=kind,task=classes",
    "values": "label=share,task=values",
    "binary": "label=yes,label=no,task=binary",
    "residues": "label=letters,task=residues",
}
"""Words behind ``csv:`` for the labels that :func:`write_labelled` writes, by task."""


command = command_of("mmbio", ABOUT, COMMANDS)
"""Runs ``mmbio WORDS`` in this process."""


def random_proteins(count: int, seed: int = 0, shortest: int = 10, longest: int = 60) -> list[str]:
    """Sequences of the twenty amino acids, alternately rich in two kinds so that there is something to learn."""
    draws = torch.Generator().manual_seed(seed)
    found = []
    for number in range(count):
        length = int(torch.randint(shortest, longest + 1, (), generator=draws))
        letters = "AAAALLLLKKEEGVS" if number % 2 else "GGGGSSSSTTPPNQDHWFYIMCR"
        found.append("".join(letters[int(torch.randint(len(letters), (), generator=draws))] for _ in range(length)))
    return found


def write_fasta(path: Path, texts: list[str]) -> str:
    """A FASTA file; the source word."""
    path.write_text("".join(f">protein{number} a test\n{text}\n" for number, text in enumerate(texts)))
    return f"fasta:{path}"


def write_labelled(path: Path) -> Path:
    """A table of proteins of two kinds, with labels of all sorts that tell the kinds or the residues."""
    lines = ["sequence,kind,share,yes,no,letters"]
    for number, text in enumerate(random_proteins(60)):
        share, letters = text.count("G") / len(text), "".join("1" if letter in "AGLS" else "0" for letter in text)
        lines.append(f"{text},{'helix' if number % 2 else 'loop'},{share},{number % 2},{(number + 1) % 2},{letters}")
    path.write_text("\n".join(lines))
    return path


__all__ = ["Said", "write_recipe"]
