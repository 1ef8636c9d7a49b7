"""What the codes of a tokenizer of atoms are: how often each occurs, and where its atoms stand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from core.quantizers import usage
from core.reporting.tables import Table
from mmbio.evaluating import evaluating
from mmbio.models.mole_bert_tokenizer import GROUP_NAMES, MoleBertTokenizer
from mmbio.molecules.elements import ELEMENTS
from mmbio.perplexity import batches
from mmbio.readers import Samples
from mmgraph.graph import Graphs

SHOWN = 10  # codes of each part
COMMONEST = 3  # surroundings of each code
BOND_SIGNS = ("-", "=", "#", ":")


class SeenCodes(NamedTuple):
    """How many atoms have each code (K,), and how often each code's atoms have which surroundings."""

    counts: Tensor
    surroundings: list[Counter[str]]

    @property
    def atoms(self) -> int:
        return int(self.counts.sum())


def look_at_codes(model: MoleBertTokenizer, data: Samples) -> SeenCodes:
    """Codes of all atoms of some molecules, in evaluation mode, mode restored afterwards."""
    counts = torch.zeros(model.codes, dtype=torch.long)
    surroundings: list[Counter[str]] = [Counter() for _ in range(model.codes)]
    with evaluating(model) as device:
        for batch, _ in batches(data):
            ids = model.ids(batch.to(device)).cpu()
            counts += ids.bincount(minlength=model.codes)
            for number, where in zip(ids.tolist(), describe_atoms(batch), strict=True):
                surroundings[number][where] += 1
    return SeenCodes(counts, surroundings)


def describe_atoms(graphs: Graphs) -> list[str]:
    """Every atom with its bonds, ``C(-C,=O)`` say; aromatic bonds are colons."""
    assert graphs.edge_attr is not None
    around: list[list[str]] = [[] for _ in graphs.x]
    elements = [ELEMENTS[i] for i in graphs.x[:, 0].tolist()]
    for source, target, kind in zip(*graphs.edge_index.tolist(), graphs.edge_attr[:, 0].tolist(), strict=True):
        around[target].append(BOND_SIGNS[kind] + elements[source])
    return [f"{element}({','.join(sorted(bonds))})" for element, bonds in zip(elements, around, strict=True)]


def usage_table(model: MoleBertTokenizer, found: SeenCodes) -> Table:
    """For every part of the vocabulary: codes, how many are in use, and their perplexity."""
    rows = []
    for name, (first, last) in zip(GROUP_NAMES, pairwise(model.quantizer.starts), strict=True):
        counts = found.counts[first:last]
        used = usage(counts) if int(counts.sum()) else None
        rows.append(
            (name, last - first, int(counts.sum()), used.codes if used else 0, used.perplexity if used else 0.0)
        )
    return Table(("part", "codes", "atoms", "in use", "perplexity"), rows)


def code_table(model: MoleBertTokenizer, found: SeenCodes) -> Table:
    """The commonest codes of every part, and what their atoms are bonded to."""
    rows = []
    for first, last in pairwise(model.quantizer.starts):
        order = found.counts[first:last].argsort(descending=True, stable=True)[:SHOWN] + first
        for number in order.tolist():
            if found.counts[number]:
                common = found.surroundings[number].most_common(COMMONEST)
                said = "  ".join(f"{where} {count}" for where, count in common)
                rows.append((model.code_names[number], int(found.counts[number]), said))
    return Table(("code", "atoms", "surroundings"), rows)
