"""Effects of variants by what a language model expects in the changed places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std, spearman
from core.evaluation.untrained import untrained
from mmbio.data.variants import VariantSet
from mmbio.evaluating import BATCH_TOKENS, evaluating
from mmbio.models.masked_lm import MaskedLM
from mmbio.proteins.blosum import blosum62
from mmbio.sequences import join
from mmbio.windows import own_longest

Method = Literal["masked", "wild_type"]
METHODS: tuple[Method, ...] = ("masked", "wild_type")


def score_variants(model: MaskedLM, data: VariantSet, method: Method = "masked") -> NDArray[np.float64]:
    """How much likelier a variant's residues are than the wild type's: (N,), the wild type itself 0.

    Sum over the changed residues of log p(new) - log p(old). ``masked``: each place is hidden in the wild type, alone, also
    where a variant changes several. ``wild_type``: nothing is hidden, one pass for all.

    Raises:
        UserError: the model's vocabulary is not of residues.

    Source: Meier et al., "Language models enable zero-shot prediction of the effects of mutations on protein function",
    Section 3 (masked marginals, wild-type marginals).
    """
    places = sorted({mutation.place for changes in data.mutations for mutation in changes})
    ids = model.vocabulary.ids
    unknown = sorted({m.after for changes in data.mutations for m in changes} - ids.keys())
    if unknown:
        raise UserError(f"{type(model).__name__}: its vocabulary has no residue {unknown[0]}")
    chances = dict(zip(places, expected(model, data.wild_type, places, method), strict=True))
    return np.array(
        [sum(float(chances[p][ids[new]] - chances[p][ids[old]]) for old, p, new in row) for row in data.mutations]
    )


def expected(model: MaskedLM, text: str, places: Sequence[int], method: Method) -> list[Tensor]:
    """Log-chances (K,) of all tokens in given places of a protein, float32 on the CPU.

    Of a protein that is longer than the model's positions a window is read, with the place in the middle where it can be.
    """
    vocabulary = model.vocabulary
    letters = vocabulary.token_ids(text)
    most = min(len(letters), own_longest(model) or len(letters))
    begins = [min(max(place - most // 2, 0), len(letters) - most) for place in places]
    rows: list[Tensor] = []
    size = max(BATCH_TOKENS // (most + vocabulary.around), 1)
    if method == "wild_type":
        windows = sorted(set(begins))
        read = [vocabulary.wrap(letters[begin : begin + most]) for begin in windows]
    else:
        windows, read = begins, []
        for place, begin in zip(places, begins, strict=True):
            window = vocabulary.wrap(letters[begin : begin + most])
            window[vocabulary.before + place - begin] = vocabulary.mask_id
            read.append(window)
    wanted: list[list[int]] = [[] for _ in windows]  # places that are looked at in each window
    if method == "wild_type":
        for place, begin in zip(places, begins, strict=True):
            wanted[windows.index(begin)].append(place)
    else:
        wanted = [[place] for place in places]
    with evaluating(model) as device:
        for first in range(0, len(read), size):
            batch = join(read[first : first + size])
            logits = model.logits(batch.to(device)).float().log_softmax(-1).cpu().split(batch.lengths.tolist())
            for row, begin, some in zip(logits, windows[first:], wanted[first:], strict=False):
                rows += [row[vocabulary.before + place - begin] for place in some]
    return rows


def substitution(data: VariantSet) -> NDArray[np.float64]:
    """The control that knows no protein: the sum of BLOSUM62's entries for the changed residues less those of the old ones."""
    table = blosum62()
    return np.array([sum(table[old, new] - table[old, old] for old, _, new in row) for row in data.mutations], float)


class VariantRow(NamedTuple):
    """What variants were scored by, how, and Spearman's correlation with the measured effects over pretraining seeds."""

    subject: str
    method: str
    spearman: MeanStd


def variant_rows(models: Sequence[MaskedLM], data: VariantSet, controls: bool = True) -> list[VariantRow]:
    """Correlations of pretrained models, one a seed, and of controls: the network untrained, and BLOSUM62."""
    fresh = [untrained(model, seed) for seed, model in enumerate(models)] if controls else []
    rows = []
    for name, some in (("pretrained", models), ("untrained", fresh)):
        for method in METHODS if some else ():
            scores = [spearman(score_variants(model, data, method), data.scores) for model in some]
            rows.append(VariantRow(name, f"{method.replace('_', '-')} marginals", mean_std(scores)))
    if controls:
        rows.append(VariantRow("BLOSUM62", "substitution", mean_std([spearman(substitution(data), data.scores)])))
    return rows
