"""Alignments of files, and as what a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmbio.alignments import Alignments, join_alignments, profile_of
from mmbio.config import MSADataConfig
from mmbio.data.sets import because
from mmbio.proteins.msa import Alignment, read_alignment
from mmbio.vocabulary import Vocabulary


@dataclass(frozen=True)
class MSASet:
    """Alignments.

    Args:
        name: for messages.
        alignments: at least one.
        skipped: files that were left out, and why, a line each.
    """

    name: str
    alignments: tuple[Alignment, ...]
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.alignments:
            raise UserError(f"{self.name}: no alignments{because(self.skipped)}")

    def __len__(self) -> int:
        return len(self.alignments)


def msa(path: str, skip: bool = False) -> MSASet:
    """The alignments of a folder with ``.a3m`` or ``.a3m.gz`` files, or one alignment, also in FASTA form.

    Args:
        path: the folder or the file.
        skip: leave out alignments of a folder that cannot be read, and count them; otherwise they are errors.

    Raises:
        UserError: nothing there, or, unless skipped, what :func:`~mmbio.proteins.msa.read_a3m` raises.
    """
    place = Path(path)
    if not place.is_dir():
        return MSASet(path, (read_alignment(place),))
    files = sorted(p for p in place.iterdir() if p.name.removesuffix(".gz").endswith(".a3m"))
    if not files:
        raise UserError(f"{path}: no alignment in it; expected names that end in .a3m, or .gz behind")
    found: list[Alignment] = []
    skipped: list[str] = []
    for file in files:
        try:
            found.append(read_alignment(file))
        except UserError as error:
            if not skip:
                raise
            skipped.append(str(error))
    return MSASet(path, tuple(found), tuple(skipped))


class MSASample(NamedTuple):
    """Ids (R, C) of some rows and columns of an alignment, begin tokens included, and the profile of those columns (C, K)."""

    ids: Tensor
    profile: Tensor


class MSAData:
    """Alignments as token ids, rows of those that are too deep, windows of those that are too wide.

    A :class:`~core.training.data.TrainingData`. The query is always the first row; others are drawn without replacement.
    Profiles are those of whole alignments. No model's positions are looked at here: what fits into a model its
    :meth:`~mmbio.models.msa_transformer.MSATransformer.samples` takes.

    Args:
        data: alignments.
        chosen: indices of those that are used.
        vocabulary: of the model.
        depth: rows of a sample.
        width: columns of a sample, the begin token not counted.
    """

    def __init__(self, data: MSASet, chosen: Sequence[int], vocabulary: Vocabulary, depth: int, width: int) -> None:
        self.chosen = list(chosen)
        self.vocabulary = vocabulary
        self.depth = depth
        self.width = width
        some = [data.alignments[i] for i in self.chosen]
        self.ids = [np.array([vocabulary.token_ids(row) for row in each.rows], dtype=np.int8) for each in some]
        self.profiles = [profile_of(torch.from_numpy(ids), len(vocabulary)) for ids in self.ids]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> np.ndarray:
        """Cells of every sample, which buckets sort by."""
        return np.array(
            [min(len(i), self.depth) * (min(i.shape[1], self.width) + self.vocabulary.before) for i in self.ids]
        )

    def sample(self, index: int, generator: torch.Generator) -> MSASample:
        """Rows and columns of an alignment; with draws from the generator alone."""
        ids = self.ids[index]
        rows = torch.arange(len(ids))
        if len(ids) > self.depth:
            others = 1 + torch.randperm(len(ids) - 1, generator=generator)[: self.depth - 1]
            rows = torch.cat([torch.zeros(1, dtype=torch.long), others.sort().values])
        begin = 0
        if ids.shape[1] > self.width:
            begin = int(torch.randint(ids.shape[1] - self.width + 1, (), generator=generator))
        window = slice(begin, begin + self.width)
        chosen = torch.from_numpy(ids[rows.numpy(), window].astype(np.int64))
        profile = self.profiles[index][window]
        if self.vocabulary.begin is not None:
            first = self.vocabulary.ids[self.vocabulary.begin]
            chosen = torch.nn.functional.pad(chosen, (1, 0), value=first)
            profile = torch.cat([torch.nn.functional.one_hot(torch.tensor([first]), len(self.vocabulary)), profile])
        return MSASample(chosen, profile)

    def collate(self, samples: Sequence[MSASample]) -> Alignments:
        return join_alignments([sample.ids for sample in samples], [sample.profile for sample in samples])


def split_alignments(data: MSASet, config: MSADataConfig) -> tuple[list[int], list[int]]:
    """Indices to train on and those held out, drawn, the same for every seed."""
    order = torch.randperm(len(data), generator=generator(0, "held out")).tolist()
    held = order[: int(len(data) * config.held_out)]
    return sorted(set(order) - set(held)), sorted(held)
