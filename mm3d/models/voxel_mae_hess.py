"""Voxel-MAE of Hess et al.: hide pillars of a sweep, and predict their points, how many, and which pillars are empty."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.masked_model import MaskedModel, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from mm3d.config.pillars import HessVoxelMAEConfig
from mm3d.layers.pillar_decoder import EmptyHead, HiddenHead, MaskedPillars
from mm3d.layers.pillar_encoder import pooled
from mm3d.layers.pillars import PillarBatch, Pillars
from mm3d.ops.packed_chamfer import packed_chamfer
from mm3d.pillars.masks import PillarMask, pillar_mask
from mm3d.pillars.views import PillarReconstruction, reconstruction

EMPTY_PRIOR = 0.01
"""What the untrained network gives as the probability that a pillar is empty."""


class HessVoxelMAE(Pretrained, MaskedModel):
    """Hide most pillars of a sweep, encode the others with a sparse transformer, and predict three things.

    Of every hidden pillar, its points by Chamfer distance and how many there are; of every pillar that the decoder sees, some
    of which are empty ones that were added, whether it is empty.

    Args:
        config: sizes and mask; the defaults are the published model.

    Shapes: a batch is a :class:`~mm3d.layers.pillars.PillarBatch`. ``model(batch, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``chamfer``, ``count`` and ``empty``; ``encode`` gives (B, 2 * dim),
    ``tokens`` (T, dim).

    Paper and code agree in what follows, but for three things. The released code hides each pillar with probability 0.7;
    here exactly this share is hidden, by the counts of :mod:`core.masking`, which with thousands of pillars is the same to a
    per cent. It compares with at most 100 points of a pillar, chosen at random, because it holds them in a dense array; here
    all count. Pillars that are too many for a window are an error there; no window is limited here.

    Source: Hess et al., "Masked Autoencoder for Self-Supervised Pre-training on Lidar Point Clouds", WACV workshops 2023,
    Section 3; official code (sst_input_layer_v2_masked.py, reconstruction_head.py).
    """

    Config = HessVoxelMAEConfig
    encoder: MaskedPillars

    def __init__(self, config: HessVoxelMAEConfig) -> None:
        dim = config.encoder.dim
        heads = {
            "chamfer": HiddenHead("points", dim, (config.points, 3), torch.tanh),
            "count": HiddenHead("points", dim, ()),
            "empty": EmptyHead("points", dim),
        }
        for head in heads.values():
            linear = head.linear
            assert isinstance(linear, nn.Linear)
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(linear.bias)
        nn.init.constant_(heads["empty"].linear.bias, math.log(EMPTY_PRIOR / (1 - EMPTY_PRIOR)))  # type: ignore[arg-type, union-attr]
        objectives = {
            "chamfer": Objective(heads["chamfer"], hidden_points, packed_chamfer, config.chamfer_weight),
            "count": Objective(heads["count"], hidden_counts, F.smooth_l1_loss, config.count_weight),
            "empty": Objective(
                heads["empty"], which_are_empty, F.binary_cross_entropy_with_logits, config.empty_weight
            ),
        }
        super().__init__(MaskedPillars(config.encoder, ["points"], config.decoder_depth), objectives)
        self.config = config

    def tokenize(self, batch: PillarBatch) -> Pillars:
        """The pillars of a batch."""
        return Pillars(batch, self.config.encoder.grid)

    def draw_mask(self, batch: PillarBatch, randomness: Randomness = None) -> PillarMask:
        """Which pillars are hidden, and which empty ones are asked about."""
        shape, config = self.config.encoder.grid.shape, self.config
        return pillar_mask(batch.indices, batch.offsets, shape, config.mask_ratio, config.empty_ratio, randomness)

    def tokens(self, batch: PillarBatch) -> Tensor:
        """Features of single pillars, nothing hidden: (T, dim)."""
        return self.encoder.backbone(self.tokenize(batch))

    def encode(self, batch: PillarBatch) -> Tensor:
        """Features of whole sweeps: maximum and mean over their pillars, (B, 2 * dim)."""
        pillars = self.tokenize(batch)
        return pooled(self.encoder.backbone(pillars), pillars)

    @torch.no_grad()
    def reconstruct(self, batch: PillarBatch, mask: Mask | None = None) -> PillarReconstruction:
        """Points of visible and hidden pillars, and the predicted ones: ``config.points`` for every hidden pillar."""
        output = self(batch, mask)
        pillars, used = self.tokenize(batch), output.mask
        middle = used.select_hidden(pillars.centers)
        points = output.predictions["chamfer"] * (pillars.size / 2) + middle.unsqueeze(1)
        of = torch.arange(len(points), device=points.device).repeat_interleave(self.config.points)
        return reconstruction(pillars, used, points.flatten(0, 1), of)


def hidden_points(pillars: Pillars, mask: Mask) -> Tensor:
    """The points of hidden pillars, from -1 to 1 in their pillar, and the number of the hidden pillar: (P, 4)."""
    chosen = mask.hidden[pillars.pillar_of]
    number = mask.hidden.cumsum(0) - 1
    return torch.cat([pillars.within[chosen], number[pillars.pillar_of[chosen]].unsqueeze(1).float()], dim=1)


def hidden_counts(pillars: Pillars, mask: Mask) -> Tensor:
    """How many points each hidden pillar has: (H,) float."""
    return mask.select_hidden(pillars.counts).to(pillars.points.dtype)


def which_are_empty(pillars: Pillars, mask: Mask) -> Tensor:
    """1 for the empty pillars that the mask names, which come last, 0 for the others: (V + H + E,) float.

    Raises:
        ValueError: a mask that names none at all; :func:`mm3d.pillars.masks.pillar_mask` draws those.
    """
    if not isinstance(mask, PillarMask):
        raise ValueError("this mask names no empty pillars; expected a PillarMask, as draw_mask gives it")
    target = pillars.points.new_zeros(len(pillars) + len(mask.empty))
    target[len(pillars) :] = 1
    return target
