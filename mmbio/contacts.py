"""Contacts of residues from attention maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import UserError
from core.saving import load_tensors, save_tensors
from mmbio.alignment_features import as_batch, read_rows, rows_to_read
from mmbio.alignments import Alignments
from mmbio.evaluating import evaluating
from mmbio.models.masked_lm import MaskedLM
from mmbio.models.msa_transformer import MSATransformer
from mmbio.proteins.msa import Alignment
from mmbio.sequences import Sequences, join
from mmbio.takes import check_maps
from mmbio.windows import own_longest

CONTACTS = "contacts.safetensors"


class ContactHead(nn.Module):
    """A logistic regression on attention maps: (layers, heads, L, L) -> (R, R) chances of contact of the R residues.

    Args:
        maps: layers x heads.

    Raises:
        UserError: another number of maps.

    Source: Rao et al., "Transformer protein language models are unsupervised structure learners", Section 3.3;
    ContactPredictionHead of fair-esm.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.regression = nn.Linear(maps, 1)

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, maps: int, source: str) -> Self:
        """With given weights.

        Raises:
            UserError: they are of another number of maps.
        """
        if weight.numel() != maps or bias.numel() != 1:
            raise UserError(f"{source}: a regression of {weight.numel()} attention maps; the model has {maps}")
        head = cls(maps)
        with torch.no_grad():
            head.regression.weight.copy_(weight.view(1, maps))
            head.regression.bias.copy_(bias.view(1))
        return head.eval()

    def save(self, folder: str | Path) -> None:
        """Write ``contacts.safetensors`` into the folder of a model."""
        save_tensors(self.state_dict(), Path(folder) / CONTACTS)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """From the folder of a model.

        Raises:
            UserError: there is none, or it is unreadable.
        """
        tensors = load_tensors(Path(folder) / CONTACTS)
        if tensors.keys() != {"regression.weight", "regression.bias"}:
            raise UserError(f"{Path(folder) / CONTACTS}: no regression of contacts")
        weight = tensors["regression.weight"]
        return cls.of(weight, tensors["regression.bias"], weight.numel(), str(Path(folder) / CONTACTS))

    def forward(self, attention: Tensor, before: int = 1, after: int = 1) -> Tensor:
        features = contact_features(attention, before, after)
        if len(features) != self.regression.in_features:
            raise UserError(
                f"a regression of {self.regression.in_features} attention maps; the model has {len(features)}"
            )
        return torch.einsum("mij,m->ij", features, self.regression.weight[0]).add(self.regression.bias).sigmoid()


def contact_features(attention: Tensor, before: int = 1, after: int = 1) -> Tensor:
    """Attention maps of one sequence as features of pairs of residues: symmetric, less what row and column tell alone.

    Args:
        attention: (layers, heads, L, L) with all tokens.
        before, after: tokens in front of the residues and behind them, which are taken away first.

    Returns:
        (layers x heads, R, R) of the R residues, float32.
    """
    end = attention.shape[-1] - after
    x = attention[..., before:end, before:end].float().flatten(0, 1)
    x = x + x.transpose(-1, -2)
    rows = x.sum(-1, keepdim=True)
    return x - rows * rows.transpose(-1, -2) / rows.sum(-2, keepdim=True).clamp(min=1e-12)


@torch.no_grad()
def predict_contacts(
    model: MaskedLM | MSATransformer, head: ContactHead, batch: Sequences | Alignments
) -> list[Tensor]:
    """Chances of contact of all pairs of residues, of an alignment's columns: (R, R) a sequence or alignment.

    Raises:
        UserError: the model has no attention maps.
    """
    vocabulary = model.vocabulary
    before, after = vocabulary.before, vocabulary.around - vocabulary.before
    return [head(maps, before, after) for maps in maps_of(model, batch)]


def maps_of(model: MaskedLM | MSATransformer, batch: Sequences | Alignments) -> list[Tensor]:
    """Attention maps (layers, heads, L, L) of every sequence or alignment, in evaluation mode.

    Raises:
        UserError: the model has none.
    """
    check_maps(model, "contacts")
    maps = cast(Callable[[Sequences | Alignments], list[Tensor]], model.attention_maps)
    with evaluating(model):
        return maps(batch)


def contacts_of_sequences(model: MaskedLM, head: ContactHead, texts: Sequence[str]) -> list[NDArray[np.float32]]:
    """Chances of contact (R, R) of every sequence, one after the other.

    Raises:
        UserError: a sequence that the model cannot read, or one longer than its positions, or a model without maps.
    """
    check_maps(model, "contacts")
    device, longest, found = next(model.parameters()).device, own_longest(model), []
    for number, text in enumerate(texts):
        if longest is not None and len(text) > longest:
            raise UserError(
                f"sequence {number}: {len(text)} residues; contacts are of at most {longest} for this model"
            )
        try:
            ids = model.vocabulary.encode(text)
        except UserError as error:
            raise UserError(f"sequence {number}: {error}") from error
        found.append(predict_contacts(model, head, join([ids]).to(device))[0].cpu().numpy())
    return found


def contacts_of_alignments(
    model: MSATransformer, head: ContactHead, alignments: Sequence[Alignment], rows: int | None = None
) -> list[NDArray[np.float32]]:
    """Chances of contact (C, C) of the columns of every alignment, read from rows that differ much.

    Args:
        rows: to read at most, as :func:`~mmbio.alignment_features.embed_alignments` takes them.

    Raises:
        UserError: a number of rows that does not fit, or an alignment wider than the model's positions.
    """
    count, longest, found = rows_to_read(model, rows), model.longest - model.vocabulary.around, []
    for alignment in alignments:
        if alignment.width > longest:
            raise UserError(
                f"{alignment.name}: {alignment.width} columns; contacts are of at most {longest} for this model"
            )
        batch = as_batch(model, read_rows(model, alignment, count))
        found.append(predict_contacts(model, head, batch)[0].cpu().numpy())
    return found
