"""What a fine-tuned model says of sequences, and how right it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.evaluation.metrics import accuracy, mean_class_accuracy, rmse, roc_auc, spearman
from mmbio.data.sets import LabelledSequences
from mmbio.embedding import Piece, batch_of, batches, pieces
from mmbio.evaluating import BATCH_TOKENS, evaluating
from mmbio.models.predictor import SequencePredictor
from mmbio.residue_probe import residue_scores

Scores = dict[str, float]


class Prepared(NamedTuple):
    """Texts that were read and put into batches, to predict for them again and again: units of each, and batches of pieces."""

    sizes: list[int]
    batches: list[tuple[list[Piece], Any]]


def prepare(model: SequencePredictor, texts: Sequence[str], tokens: int = BATCH_TOKENS) -> Prepared:
    """Texts as a model reads them, those of similar length together.

    Args:
        tokens: units of a batch.

    Raises:
        UserError: a text that the model cannot read.
    """
    cut = pieces(model, texts)  # labelled data has no regions
    sizes = {piece.sequence: piece.whole for piece in cut}
    return Prepared(list(sizes.values()), [(some, batch_of(model, some)) for some in batches(cut, tokens)])


def predict(
    model: SequencePredictor,
    texts: Sequence[str] | Prepared,
    tokens: int = BATCH_TOKENS,
    units: Callable[[Tensor], Tensor] | None = None,
) -> list[NDArray[np.float32]]:
    """Predictions for each sequence, in evaluation mode: (K,) chances of classes, chances of yes, or values in their units;
    for residues (L, K) chances of classes.

    Of a sequence longer than the model's positions: the mean over its windows, or each residue from its window.

    Args:
        texts: sequences, or what :func:`prepare` made of them.
        units: of the outputs, in place of the model's own.

    Raises:
        UserError: a text that the model cannot read.
    """
    asked = texts if isinstance(texts, Prepared) else prepare(model, texts, tokens)
    outputs, in_units = len(model.config.classes), units or model.in_units
    residues = model.config.task == "residues"
    found = [np.zeros((size, outputs) if residues else outputs, np.float32) for size in asked.sizes]
    with evaluating(model) as device:
        for some, batch in asked.batches:
            said = in_units(model(batch.to(device))).cpu()
            lengths = [piece.length if residues else 1 for piece in some]
            for piece, rows in zip(some, said.split(lengths), strict=True):
                begin, _, first, last = piece.window
                if residues:
                    found[piece.sequence][first:last] = rows[first - begin : last - begin].numpy()
                else:
                    found[piece.sequence] += rows[0].numpy() * ((last - first) / max(piece.whole, 1))
    return found


def selecting_score(data: LabelledSequences) -> str:
    """The score of :func:`score_part` that selects an epoch; higher is better."""
    if data.task == "residues" and len(data.classes) == 2:
        return "average_precision"
    return {"values": "negative_error", "binary": "roc_auc"}.get(data.task, "accuracy")


def score_part(
    model: SequencePredictor, data: LabelledSequences, part: NDArray[np.integer], prepared: Prepared | None = None
) -> Scores:
    """Scores of a part by name.

    Args:
        prepared: the texts of the part as :func:`prepare` gave them, where they are scored more than once.

    Classes: ``accuracy``, ``mean_class_accuracy``. Values, averaged over columns: ``spearman``, ``rmse``, and
    ``negative_error``, less the root mean squared error of standardised values. Binary: ``roc_auc``, averaged over tasks.
    Residues: ``accuracy``, and for two classes ``mcc`` and ``average_precision``.
    """
    units = Tensor.float if data.task == "binary" else None  # chances of 1 in float32 would tie where outputs do not
    said = predict(model, [data.texts[i] for i in part] if prepared is None else prepared, units=units)
    if data.task == "residues":
        labels = np.concatenate([data.labels[i] for i in part])
        chances, known = np.concatenate(said), labels >= 0
        found = residue_scores(torch.from_numpy(chances[known]), torch.from_numpy(labels[known]))
        return {name.lower().replace(" ", "_"): score for name, score in found.items()}
    rows, labels = np.stack(said), np.asarray(data.labels)[part]
    if data.task == "classes":
        pair = rows.argmax(1), labels
        return {"accuracy": accuracy(*pair), "mean_class_accuracy": mean_class_accuracy(*pair)}
    if data.task == "binary":
        return {"roc_auc": roc_auc(rows, labels)}
    columns = [k for k in range(labels.shape[1]) if not np.isnan(labels[:, k]).all()]
    scale = model.scale.cpu().numpy()
    return {
        "spearman": float(np.mean([spearman(rows[:, k], labels[:, k]) for k in columns])),
        "rmse": float(np.mean([rmse(rows[:, k], labels[:, k]) for k in columns])),
        "negative_error": -rmse(rows[:, columns] / scale[columns], labels[:, columns] / scale[columns]),
    }
