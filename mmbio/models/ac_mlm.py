"""AC-MLM: masked language modelling against an adversary, with a contrast of what it changes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.losses import cross_entropy, info_nce
from core.masked_model import MaskedOutput
from core.masking import Mask
from core.random import Randomness
from core.token_masks import TokenMask
from mmbio.config import ACMLMConfig
from mmbio.models.esm2 import ESM2
from mmbio.models.masked_lm import hidden_ids, read_ids
from mmbio.sequences import Sequences, mean_of_sequences


class ACMLM(ESM2):
    """ESM-2 trained where it is weak: on the hardest of several masks, and on embeddings that a step uphill has changed.

    Three terms: cross-entropy of hidden residues; the same after the embeddings of the visible ones were moved along the
    gradient of the first; and a contrast (InfoNCE, both ways) of the means of sequences before and after, whose negatives are
    the other sequences of the batch.

    The paper describes an adversarial method with a contrastive term on top of masked language modelling, and released no
    code. That masks are the hardest of a few, that the change is one normalised step, the projection and all weights are ours.

    Args:
        config: sizes, masks, adversary.

    Shapes: as :class:`~mmbio.models.esm2.ESM2`, with parts ``adversarial`` and ``contrast`` where gradients are taken;
    without (``torch.no_grad``) only ``lm``, since the adversary is a gradient. Weights are not to be sharded (FSDP).

    Source: McDermott et al., "Adversarial Contrastive Pre-training for Protein Sequences", arXiv 2102.00466; the step is
    that of Miyato et al., "Adversarial Training Methods for Semi-Supervised Text Classification", Eq. 5.
    """

    Config = ACMLMConfig

    def __init__(self, config: ACMLMConfig) -> None:
        super().__init__(config)
        self.project = nn.Sequential(nn.Linear(config.dim, config.dim), nn.GELU(), nn.Linear(config.dim, config.dim))

    def draw_mask(self, batch: Sequences, randomness: Randomness = None) -> TokenMask:
        """Hidden tokens as ESM-2's; in training, of several masks that are drawn, of every sequence the hardest.

        It then depends on the weights as well, and is the same again for the same generators and weights.
        """
        masks = [super().draw_mask(batch, randomness)]
        if not self.training or self.config.candidates == 1:
            return masks[0]
        masks += [super(ACMLM, self).draw_mask(batch, randomness) for _ in range(self.config.candidates - 1)]
        device = next(self.parameters()).device
        losses = torch.stack([self.loss_of_sequences(batch.to(device), mask.to(device)) for mask in masks])
        return hardest(batch.to("cpu"), masks, losses.argmax(0).cpu())

    @torch.no_grad()
    def loss_of_sequences(self, batch: Sequences, mask: TokenMask) -> Tensor:
        """Cross-entropy of the hidden tokens of every sequence, summed: (B,); masks of a sequence hide equally many."""
        output = self(batch, mask)
        each = F.cross_entropy(output.predictions["lm"].float(), output.targets["lm"], reduction="none")
        return each.new_zeros(len(batch)).index_add(0, batch.sample[mask.hidden_index], each)

    def forward(self, batch: Sequences, mask: Mask | None = None) -> MaskedOutput:
        drawn = cast(TokenMask, self.draw_mask(batch) if mask is None else mask).to(next(self.parameters()).device)
        config, transformer = self.config, self.encoder.transformer
        x = self.encoder.embed(read_ids(batch, drawn))
        latent = transformer(x, offsets=batch.offsets)
        logits, ids = self.lm_head(latent, batch, drawn), hidden_ids(batch, drawn)
        parts = {"lm": cross_entropy(logits, ids)}
        total = parts["lm"]
        if torch.is_grad_enabled():
            step = ascent(parts["lm"], x, batch, ~drawn.hidden & self.own_tokens(batch), config.radius)
            changed = transformer(x + step, offsets=batch.offsets)
            parts["adversarial"] = cross_entropy(self.lm_head(changed, batch, drawn), ids)
            before, after = (self.project(self.mean(features, batch)) for features in (latent, changed))
            own = torch.arange(len(batch), device=x.device)
            pulled = [info_nce(a, b, own, config.temperature) for a, b in ((before, after), (after, before))]
            parts["contrast"] = torch.stack(pulled).mean()
            total = (
                total + config.adversarial_weight * parts["adversarial"] + config.contrast_weight * parts["contrast"]
            )
        detached = {name: part.detach() for name, part in parts.items()}
        return MaskedOutput(total, detached, drawn, latent, {"lm": logits}, {"lm": ids})

    def mean(self, features: Tensor, batch: Sequences) -> Tensor:
        """Mean over the residues of every sequence: (B, C)."""
        return mean_of_sequences(features, batch, self.own_tokens(batch))


def ascent(loss: Tensor, x: Tensor, batch: Sequences, allowed: Tensor, radius: float) -> Tensor:
    """The step that raises the loss most by its gradient, of a length of ``radius`` times the norm of each sequence: (T, C).

    Args:
        loss: computed from x; its graph stays.
        allowed: (T,) bool, tokens that may be moved.
    """
    (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
    gradient = gradient.float() * allowed.unsqueeze(1)
    scale = radius * _norms(x.detach().float(), batch) / _norms(gradient, batch).clamp(min=1e-20)
    return (gradient * scale[batch.sample].unsqueeze(1)).to(x.dtype)


def hardest(batch: Sequences, masks: list[TokenMask], choice: Tensor) -> TokenMask:
    """Of every sequence the mask of a number: (B,) int64."""
    taken = choice[batch.sample]
    hidden, read = masks[0].hidden.clone(), masks[0].write(batch.ids)
    for number, mask in enumerate(masks[1:], 1):
        hidden = torch.where(taken == number, mask.hidden, hidden)
        read = torch.where(taken == number, mask.write(batch.ids), read)
    return TokenMask(hidden, batch.offsets, read[hidden])


def _norms(x: Tensor, batch: Sequences) -> Tensor:
    """Euclidean norm of all numbers of a sequence: (B,)."""
    return x.new_zeros(len(batch)).index_add(0, batch.sample, x.square().sum(1)).sqrt()
