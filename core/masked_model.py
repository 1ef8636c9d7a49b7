"""The composition every system here is an instance of: L = S(Target(x), Head(Encoder(x * Mask)))."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from core.masking import Mask
from core.random import Randomness


class Objective(nn.Module):
    """One term of the loss: what is predicted for the hidden tokens, what it is compared with, and how.

    Args:
        head: module called as ``head(latent, inputs, mask)``; its output is the prediction.
        target: function called as ``target(inputs, mask)``; no gradient is taken through what it returns by us, a
            teacher's target detaches itself. A module (a frozen tokenizer, a teacher) becomes part of the model.
        loss: function ``(prediction, target) -> scalar``.
        weight: factor of this term in the sum.

    Source: Li et al., "Masked Modeling for Self-supervised Representation Learning on Vision and Beyond", Eq. 12.
    """

    def __init__(
        self,
        head: nn.Module,
        target: Callable[[Any, Mask], Tensor],
        loss: Callable[[Tensor, Tensor], Tensor],
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.head = head
        self.target = target
        self.loss = loss
        self.weight = weight


class MaskedOutput(NamedTuple):
    """What a masked model returns.

    ``loss`` is the weighted sum, ``parts`` the unweighted terms by name (detached), ``latent`` what the encoder made of
    the visible tokens, ``predictions`` and ``targets`` those of each objective, ``mask`` the mask that was used.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    mask: Mask
    latent: Any
    predictions: dict[str, Tensor]
    targets: dict[str, Tensor]


class MaskedModel(nn.Module):
    """Encoder sees the masked tokens; each objective predicts what was hidden; the weighted sum is the loss.

    A system subclasses this once and says how a batch becomes tokens (``tokenize``), which are hidden (``draw_mask``),
    and what features are (``encode``). The mask can be given, so that every result can be replayed.

    Args:
        encoder: module called as ``encoder(inputs, mask)``.
        objectives: the terms by name.
    """

    def __init__(self, encoder: nn.Module, objectives: Mapping[str, Objective]) -> None:
        super().__init__()
        self.encoder = encoder
        self.objectives = nn.ModuleDict(objectives)

    def tokenize(self, batch: Any) -> Any:
        """A batch as the tokens that masks are drawn on. Nothing to do unless a system says otherwise."""
        return batch

    def draw_mask(self, batch: Any, randomness: Randomness = None) -> Mask:
        """The mask of a batch, on the CPU: a function of the batch's shape and of the generators alone."""
        raise NotImplementedError

    def encode(self, batch: Any) -> Tensor:
        """Features of a batch with nothing hidden: (B, F)."""
        raise NotImplementedError

    def reconstruct(self, batch: Any, mask: Mask | None = None) -> Any:
        """What the model makes of a masked batch, in the units of the data, for looking at."""
        raise NotImplementedError

    def forward(self, batch: Any, mask: Mask | None = None) -> MaskedOutput:
        """Loss of a batch under a mask.

        Args:
            batch: what :meth:`tokenize` takes.
            mask: which tokens are hidden. None draws one from torch's default generator before anything is computed.
        """
        mask = self.draw_mask(batch) if mask is None else mask
        inputs = self.tokenize(batch)
        device = next(self.parameters()).device
        mask = mask.to(device)
        latent = self.encoder(inputs, mask)
        predictions, targets, parts = {}, {}, {}
        terms = []
        for name, objective in cast(dict[str, Objective], self.objectives).items():
            predictions[name] = objective.head(latent, inputs, mask)
            targets[name] = objective.target(inputs, mask)
            term = objective.loss(predictions[name], targets[name])
            parts[name] = term.detach()
            terms.append(objective.weight * term)
        return MaskedOutput(torch.stack(terms).sum(), parts, mask, latent, predictions, targets)
