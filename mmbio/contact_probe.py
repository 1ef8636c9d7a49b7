"""How well attention maps tell contacts: a regression fitted on few structures, scored on others, beside controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.untrained import untrained
from core.random import generator
from mmbio.contacts import ContactHead, contact_features, maps_of, predict_contacts
from mmbio.data.structures import StructureSet
from mmbio.models.masked_lm import MaskedLM
from mmbio.proteins.structures import contacts
from mmbio.sequences import join
from mmbio.windows import own_longest

STRUCTURES = 20  # to fit on
NEAREST = 6  # residues between which contacts are neither fitted nor scored
SEPARATIONS = (6, 12, 24)
SHARES = (1, 2, 5)
SCORED = 100  # structures at most
PAIRS = 200_000  # pairs at most that a regression is fitted on
STRENGTH = 0.15  # C of the L1 penalty

Predict = Callable[[int], NDArray]


class ContactRow(NamedTuple):
    """Precisions of the L, L/2 and L/5 likeliest pairs at least so many residues apart, over pretraining seeds."""

    subject: str
    separation: int
    precisions: tuple[MeanStd, ...]


def fit_contacts(model: MaskedLM, data: StructureSet, seed: int = 0) -> ContactHead:
    """A regression of contacts on a model's attention maps, fitted on up to 20 structures with an L1 penalty.

    Pairs are at least six residues apart. Where there are very many, some are drawn.

    Args:
        seed: which structures and pairs are drawn, where there are more.

    Raises:
        UserError: the structures have no contacts, or nothing else.

    Source: Rao et al., "Transformer protein language models are unsupervised structure learners", Section 3.3; the number of
    proteins, the L1 penalty, its C and the separation are quoted from memory and were not checked against the paper.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels = [], []
    for index in drawn(data.fit, STRUCTURES, seed):
        near, known = contacts(data.betas[index][: own_longest(model)])
        rows, columns = np.nonzero(np.triu(known, NEAREST))
        maps = _features(model, data.texts[index])
        features.append(maps[:, rows, columns].T)
        labels.append(near[rows, columns])
    x, y = np.concatenate(features), np.concatenate(labels)
    if y.all() or not y.any():
        raise UserError(f"{data.name}: no contacts in the structures to fit on, or nothing else")
    strength = STRENGTH
    if len(y) > PAIRS:
        strength *= len(y) / PAIRS  # as heavy against the fit as it is with all pairs
        some = torch.randperm(len(y), generator=generator(seed, "pairs"))[:PAIRS].numpy()
        x, y = x[some], y[some]
    fitted = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", random_state=0).fit(x, y)
    weight, bias = (torch.tensor(part, dtype=torch.float32) for part in (fitted.coef_, fitted.intercept_))
    return ContactHead.of(weight, bias, x.shape[1], data.name)


def precisions(
    score: NDArray, near: NDArray, known: NDArray, separation: int, draws: torch.Generator
) -> list[float] | None:
    """Share of contacts among the L, L/2 and L/5 pairs of the highest scores; None where no pair is that far apart.

    Args:
        score, near, known: (L, L) each. separation: pairs are at least so many residues apart.
        draws: puts equal scores in a random order.
    """
    rows, columns = np.nonzero(np.triu(known, separation))
    if not len(rows):
        return None
    shuffled = torch.randperm(len(rows), generator=draws).numpy()
    order = shuffled[np.argsort(-score[rows, columns][shuffled], kind="stable")]
    ranked = near[rows, columns][order]
    return [float(ranked[: max(len(score) // share, 1)].mean()) for share in SHARES]


def by_distance(data: StructureSet, seed: int = 0) -> Predict:
    """The control that knows no sequence: how often residues so far apart were in contact in the structures to fit on."""
    longest = max(map(len, data.texts))
    found, pairs = np.zeros(longest), np.zeros(longest)
    for index in drawn(data.fit, STRUCTURES, seed):
        near, known = contacts(data.betas[index])
        rows, columns = np.nonzero(np.triu(known, NEAREST))
        np.add.at(pairs, columns - rows, 1)
        np.add.at(found, columns - rows, near[rows, columns])
    share = found / np.maximum(pairs, 1)

    def predict(index: int) -> NDArray:
        places = np.arange(len(data.texts[index]))
        return share[np.abs(places[:, None] - places)]

    return predict


def by_attention(model: MaskedLM, head: ContactHead, data: StructureSet) -> Predict:
    """What a model's attention says of the structure of a number; of long sequences the first residues only."""

    def predict(index: int) -> NDArray:
        ids = model.vocabulary.encode(data.texts[index][: own_longest(model)])
        batch = join([ids]).to(next(model.parameters()).device)
        return predict_contacts(model, head.to(batch.ids.device), batch)[0].cpu().numpy()

    return predict


def score_contacts(data: StructureSet, predict: Predict, seed: int = 0) -> dict[int, list[float]]:
    """For every separation the mean precisions over the structures to score, at most a hundred of them."""
    found: dict[int, list[list[float]]] = {separation: [] for separation in SEPARATIONS}
    for index in drawn(data.scored, SCORED, seed=0):
        score = predict(index)
        near, known = contacts(data.betas[index][: len(score)])
        for separation in SEPARATIONS:
            row = precisions(score, near, known, separation, generator(seed, index, "ties"))
            if row is not None:
                found[separation].append(row)
    return {separation: np.mean(rows, 0).tolist() for separation, rows in found.items() if rows}


def contact_rows(
    models: Sequence[MaskedLM], data: StructureSet, controls: bool = True, heads: Sequence[ContactHead] = ()
) -> list[ContactRow]:
    """Precisions of pretrained models, one a seed, and of controls: the network untrained, and the distance alone.

    Args:
        heads: regressions that the models come with, which are then scored as they are, in rows of their own.
    """
    fitted = [by_attention(model, fit_contacts(model, data, seed), data) for seed, model in enumerate(models)]
    subjects: list[tuple[str, list[Predict]]] = [("pretrained", fitted)]
    if heads:
        given = [by_attention(model, head, data) for model, head in zip(models, heads, strict=True)]
        subjects.append(("pretrained, its own regression", given))
    if controls:
        fresh = [untrained(model, seed) for seed, model in enumerate(models)]
        some = [by_attention(model, fit_contacts(model, data, seed), data) for seed, model in enumerate(fresh)]
        subjects += [("untrained", some), ("distance alone", [by_distance(data, seed) for seed in range(len(models))])]
    rows = []
    for name, predictors in subjects:
        scores = [score_contacts(data, predict, seed) for seed, predict in enumerate(predictors)]
        for separation in scores[0]:
            columns = zip(*(score[separation] for score in scores), strict=True)
            rows.append(ContactRow(name, separation, tuple(mean_std(column) for column in columns)))
    return rows


def drawn(indices: Sequence[int], count: int, seed: int) -> list[int]:
    """So many of the indices at most, drawn and in ascending order."""
    order = torch.randperm(len(indices), generator=generator(seed, "structures")).tolist()
    return sorted(indices[i] for i in order[:count])


@torch.no_grad()
def _features(model: MaskedLM, text: str) -> NDArray:
    """(maps, R, R)."""
    vocabulary = model.vocabulary
    batch = join([vocabulary.encode(text[: own_longest(model)])]).to(next(model.parameters()).device)
    after = vocabulary.around - vocabulary.before
    return contact_features(maps_of(model, batch)[0], vocabulary.before, after).cpu().numpy()
