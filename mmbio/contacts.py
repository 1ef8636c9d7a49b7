"""Contacts of residues from attention maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.saving import load_tensors, save_tensors
from mmbio.evaluating import evaluating
from mmbio.models.masked_lm import MaskedLM
from mmbio.sequences import Sequences
from mmbio.takes import check_maps

CONTACTS = "contacts.safetensors"


class ContactHead(nn.Module):
    """A logistic regression on attention maps: (layers, heads, L, L) -> (R, R) chances of contact of the R residues.

    Args:
        maps: layers x heads.

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
def predict_contacts(model: MaskedLM, head: ContactHead, batch: Sequences) -> list[Tensor]:
    """Chances of contact of all pairs of residues: (R, R) a sequence.

    Raises:
        UserError: the model has no attention maps.
    """
    vocabulary = model.vocabulary
    before, after = vocabulary.before, vocabulary.around - vocabulary.before
    return [head(maps, before, after) for maps in maps_of(model, batch)]


def maps_of(model: MaskedLM, batch: Sequences) -> list[Tensor]:
    """Attention maps (layers, heads, L, L) of every sequence, in evaluation mode.

    Raises:
        UserError: the model has none.
    """
    check_maps(model, "contacts")
    maps = cast(Callable[[Sequences], list[Tensor]], model.attention_maps)
    with evaluating(model):
        return maps(batch)
