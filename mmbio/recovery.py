"""How well residues of antibodies are told when they are hidden: loops, framework, and any."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import torch

from core.masking import count_hidden, counted_mask_packed
from core.random import generator
from core.token_masks import given_tokens
from mmbio.data.sets import SequenceSet
from mmbio.evaluating import evaluating
from mmbio.models.masked_lm import MaskedLM
from mmbio.proteins.alphabet import STANDARD
from mmbio.sequences import join, tagged
from mmbio.windows import own_longest

KINDS = ("CDR-H1", "CDR-H2", "CDR-H3", "50 % of CDRs", "15 % of framework", "15 % of all")
"""What is hidden: all residues of a loop, or a share of residues, the same ones for every model."""
BATCH = 32


class Recovery(NamedTuple):
    """Residues that were hidden, how many were told right, and the sum of -log of the chance that the true one got."""

    residues: int
    right: int
    surprise: float

    @property
    def share(self) -> float:
        return self.right / max(self.residues, 1)

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.surprise / max(self.residues, 1), 700.0))


def hidden_places(regions: str, kind: str, index: int) -> list[int]:
    """The places of a chain that are hidden for one of :data:`KINDS`; drawn ones are a function of ``index``."""
    if kind.startswith("CDR-H"):
        return [place for place, digit in enumerate(regions) if digit == kind[-1]]
    share, _, what = kind.partition(" % of ")
    usable = [p for p, digit in enumerate(regions) if what == "all" or (digit == "0") == (what == "framework")]
    count = count_hidden(len(usable), int(share) / 100)
    if not count:
        return []
    chosen = counted_mask_packed([len(usable)], [count], generator(0, index, kind)).hidden_index
    return [usable[i] for i in chosen.tolist()]


def recover(model: MaskedLM, data: SequenceSet, chosen: Sequence[int]) -> dict[str, Recovery]:
    """Hide, let the model name, count; every hidden residue is the mask token.

    A chain that is longer than the model's positions is cut to a window that ends ten residues behind its last loop. Chances
    are those among the twenty amino acids. In evaluation mode, mode restored afterwards.

    Args:
        data: chains with regions.
        chosen: those that are looked at.
    """
    windows = {i: window(data.texts[i], data.regions[i], own_longest(model)) for i in chosen}
    with evaluating(model) as device:
        return {kind: _recover(model, windows, kind, device) for kind in KINDS}


def window(text: str, regions: str, longest: int | None) -> tuple[str, str]:
    """A stretch of at most ``longest`` residues with the last loop in it, from the beginning where that fits."""
    if longest is None or len(text) <= longest:
        return text, regions
    end = max(len(regions.rstrip("0")) + 10, longest)
    end = min(end, len(text))
    return text[end - longest : end], regions[end - longest : end]


def _recover(model: MaskedLM, windows: Mapping[int, tuple[str, str]], kind: str, device: torch.device) -> Recovery:
    vocabulary = model.vocabulary
    letters = torch.tensor([vocabulary.ids[letter] for letter in STANDARD], device=device)
    residues, right, surprise = 0, 0, 0.0
    order = sorted(windows, key=lambda i: len(windows[i][0]))
    for start in range(0, len(order), BATCH):
        ids, regions, hidden = [], [], []
        for index in order[start : start + BATCH]:
            text, digits = windows[index]
            places = [p for p in hidden_places(digits, kind, index) if text[p] in STANDARD]
            ids.append(vocabulary.encode(text))
            regions.append(tagged(digits, vocabulary.before, vocabulary.around))
            hidden.append(torch.zeros(len(ids[-1]), dtype=torch.bool))
            hidden[-1][[place + vocabulary.before for place in places]] = True
        packed = torch.cat(hidden)
        if not packed.any():
            continue
        batch = join(ids, regions)
        mask = given_tokens(batch.ids, batch.offsets, packed, model.corruption)
        logits = model(batch.to(device), mask.to(device)).predictions["lm"].float()[:, letters]
        true = (batch.ids[packed].to(device).unsqueeze(1) == letters).long().argmax(1)
        surprise += float(torch.nn.functional.cross_entropy(logits, true, reduction="sum"))
        right += int((logits.argmax(1) == true).sum())
        residues += len(true)
    return Recovery(residues, right, surprise)


def places_of(regions: str) -> list[tuple[str, int]]:
    """Where every residue stands: the stretch it is in, and its distance from the nearer end of that, negative from the last.

    Stretches are the loops, and the framework behind each.
    """
    found, before = [], "0"
    for digit, stretch in groupby(regions):
        length = len(list(stretch))
        name = digit if digit != "0" else f"behind {before}"
        found += [(name, i if i < (length + 1) // 2 else i - length) for i in range(length)]
        before = digit
    return found


def recover_by_place(data: SequenceSet, learned_from: Sequence[int], chosen: Sequence[int]) -> dict[str, Recovery]:
    """The control: name the residue that is the most frequent at the same place in other chains.

    Chances are frequencies of the twenty amino acids there, each counted once more than it was seen.
    """
    counts: dict[tuple[str, int], Counter[str]] = {}
    overall: Counter[str] = Counter()
    for index in learned_from:
        for place, letter in zip(places_of(data.regions[index]), data.texts[index], strict=True):
            if letter in STANDARD:
                counts.setdefault(place, Counter())[letter] += 1
                overall[letter] += 1
    found = {}
    for kind in KINDS:
        residues, right, surprise = 0, 0, 0.0
        for index in chosen:
            text, places = data.texts[index], places_of(data.regions[index])
            for hidden in hidden_places(data.regions[index], kind, index):
                if text[hidden] in STANDARD:
                    seen = counts.get(places[hidden], overall)
                    residues += 1
                    right += text[hidden] == (seen.most_common(1)[0][0] if seen else STANDARD[0])
                    surprise -= math.log((seen[text[hidden]] + 1) / (seen.total() + len(STANDARD)))
        found[kind] = Recovery(residues, right, surprise)
    return found
