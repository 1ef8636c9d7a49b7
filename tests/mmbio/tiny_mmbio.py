"""The command line in this process, and tiny data and recipes to use it on."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import torch
import yaml

from core.cli.app import run
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


class Said(NamedTuple):
    """Exit status of a command, and what it wrote to standard output and standard error."""

    status: int
    out: str
    err: str


def command(*words: object) -> Said:
    """Run ``mmbio WORDS`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run("mmbio", ABOUT, COMMANDS, [str(word) for word in words])
        except SystemExit as left:  # --help
            status = int(left.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


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


def write_recipe(path: Path, values: dict, **sections: object) -> Path:
    """A recipe file with some settings changed: ``write_recipe(path, RECIPE, train={"epochs": 2})``."""
    merged = dict(values)
    for name, section in sections.items():
        merged[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    path.write_text("# A test\n" + yaml.safe_dump(merged))
    return path


def write_labelled(path: Path) -> Path:
    """A table of proteins of two kinds, with labels of all sorts that tell the kinds or the residues."""
    lines = ["sequence,kind,share,yes,no,letters"]
    for number, text in enumerate(random_proteins(60)):
        share, letters = text.count("G") / len(text), "".join("1" if letter in "AGLS" else "0" for letter in text)
        lines.append(f"{text},{'helix' if number % 2 else 'loop'},{share},{number % 2},{(number + 1) % 2},{letters}")
    path.write_text("\n".join(lines))
    return path
