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


__all__ = ["Said", "write_recipe"]
