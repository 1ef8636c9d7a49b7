"""GeoMAE: hide pillars of a sweep, and predict the geometry of their points: centroids at three scales, and surfaces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.masked_model import MaskedModel, Objective
from core.masking import Mask, random_mask_packed
from core.random import Randomness
from core.saving import Pretrained
from mm3d.config.pillars import GeoMAEConfig
from mm3d.layers.pillar_decoder import HiddenHead, MaskedPillars
from mm3d.layers.pillar_encoder import pooled
from mm3d.layers.pillars import PillarBatch, Pillars
from mm3d.pillars.geometry import Divisions, part_centroids, surfaces
from mm3d.pillars.views import PillarReconstruction, reconstruction

WHOLE = (1, 1, 1)


class GeoMAE(Pretrained, MaskedModel):
    """Hide most pillars of a sweep, encode the others with a sparse transformer, and predict geometry by two decoders.

    One decoder gives, for the hidden pillars at three scales, the centroids of the sub-voxels that hold points, and at the two
    finer scales which do; the other gives the normal of the surface through the pillar and its neighbours, and the surface's
    curvature where its weight is not 0.

    Args:
        config: sizes, mask and weights; the defaults are those of the released configuration.

    Shapes: a batch is a :class:`~mm3d.layers.pillars.PillarBatch`. ``model(batch, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``centroid_low``, ``centroid_middle``, ``centroid_whole``,
    ``occupied_low``, ``occupied_middle``, ``normal`` and, if it has a weight, ``curvature``; ``encode`` gives (B, 2 * dim),
    ``tokens`` (T, dim).

    Paper and code differ. The paper trains on curvature too; the released code computes it and uses it nowhere (what it logs as
    a curvature loss is that of the normal), and made the published numbers without: weight 0 is the default. Its normals have
    the sign that the decomposition happens to give, which a mean squared error takes at face value; here they are turned
    towards the sensor (``normal_sign: either`` takes the nearer direction). Pillars whose neighbourhood is a point or a line
    have no normal and are left out; the code gives them some direction. As in the code, the decoders know where hidden
    pillars stand.

    Source: Tian et al., "GeoMAE: Masked Geometric Target Prediction for Self-supervised Point Cloud Pre-Training", CVPR 2023,
    Section 3; official code (multi_sub_voxel_dynamic_voxelnet_ssl.py, multi_mae_sst_spearate_top_only.py).
    """

    Config = GeoMAEConfig
    encoder: MaskedPillars

    def __init__(self, config: GeoMAEConfig) -> None:
        dim = config.encoder.dim
        objectives: dict[str, Objective] = {}
        scales: dict[str, Divisions] = {"low": config.low, "middle": config.middle, "whole": WHOLE}
        for (name, split), weight in zip(scales.items(), config.centroid_weights, strict=True):
            head = HiddenHead("centroids", dim, (split[0] * split[1] * split[2], 3))
            objectives[f"centroid_{name}"] = Objective(head, hidden_parts(split), centroid_error, weight)
        for (name, split), weight in zip(scales.items(), config.occupancy_weights, strict=False):
            head = HiddenHead("centroids", dim, (split[0] * split[1] * split[2], 2))
            objectives[f"occupied_{name}"] = Objective(head, hidden_parts(split), occupancy_error, weight)
        loss = partial(normal_error, either=config.normal_sign == "either")
        target = partial(hidden_normals, split=config.middle)
        objectives["normal"] = Objective(HiddenHead("surface", dim, (3,)), target, loss, config.normal_weight)
        if config.curvature_weight:
            shares = partial(hidden_curvatures, split=config.middle)
            head = HiddenHead("surface", dim, (3,))
            objectives["curvature"] = Objective(head, shares, F.mse_loss, config.curvature_weight)
        super().__init__(MaskedPillars(config.encoder, ["centroids", "surface"], config.decoder_depth), objectives)
        self.config = config
        for objective in objectives.values():
            nn.init.xavier_uniform_(cast(HiddenHead, objective.head).linear.weight)
        nn.init.xavier_uniform_(self.encoder.mask_token.unsqueeze(0))

    def tokenize(self, batch: PillarBatch) -> Pillars:
        """The pillars of a batch."""
        return Pillars(batch, self.config.encoder.grid)

    def draw_mask(self, batch: PillarBatch, randomness: Randomness = None) -> Mask:
        """Which pillars are hidden."""
        return random_mask_packed(batch.offsets.diff().tolist(), self.config.mask_ratio, randomness)

    def tokens(self, batch: PillarBatch) -> Tensor:
        """Features of single pillars, nothing hidden: (T, dim)."""
        return self.encoder.backbone(self.tokenize(batch))

    def encode(self, batch: PillarBatch) -> Tensor:
        """Features of whole sweeps: maximum and mean over their pillars, (B, 2 * dim)."""
        pillars = self.tokenize(batch)
        return pooled(self.encoder.backbone(pillars), pillars)

    @torch.no_grad()
    def reconstruct(self, batch: PillarBatch, mask: Mask | None = None) -> PillarReconstruction:
        """Points of visible and hidden pillars, and the predicted centroids of the finest sub-voxels.

        Of every sweep those sub-voxels of hidden pillars are taken that most probably hold points, as many as really do.
        """
        output = self(batch, mask)
        pillars, used = self.tokenize(batch), output.mask
        empty, full = output.predictions["occupied_low"].unbind(2)
        held, sizes = output.targets["occupied_low"][..., 3], used.counts.tolist()
        chosen = torch.zeros_like(full, dtype=torch.bool)
        for margin, true, said in zip((full - empty).split(sizes), held.split(sizes), chosen.split(sizes), strict=True):
            said.view(-1)[margin.flatten().topk(int(true.sum())).indices] = True  # a view: written into all
        pillar, part = chosen.nonzero(as_tuple=True)
        x, y, _ = self.config.low
        cell = torch.stack([part % x, part // x % y, part // (x * y)], dim=1)
        inside = output.predictions["centroid_low"][chosen].clamp(0, 1)
        offset = (inside + cell) / torch.tensor(self.config.low, device=cell.device) - 0.5
        points = offset * pillars.size + used.select_hidden(pillars.centers)[pillar]
        return reconstruction(pillars, used, points, pillar)


def hidden_parts(split: Divisions) -> Callable[[Pillars, Mask], Tensor]:
    """The target of one scale: centroids of the sub-voxels of hidden pillars, and 1 where there are points: (H, S, 4)."""

    def target(pillars: Pillars, mask: Mask) -> Tensor:
        return part_centroids(pillars.part(mask.hidden, mask.hidden_offsets), split)

    return target


def hidden_normals(pillars: Pillars, mask: Mask, split: Divisions) -> Tensor:
    """Unit normals of hidden pillars towards the sensor, and 1 where there is one: (H, 4)."""
    found = surfaces(pillars, split)
    known = found.known.unsqueeze(1).to(found.normal.dtype)
    return mask.select_hidden(torch.cat([found.normal * known, known], dim=1))


def hidden_curvatures(pillars: Pillars, mask: Mask, split: Divisions) -> Tensor:
    """Shares of the variances of hidden pillars' neighbourhoods, descending: (H, 3)."""
    return mask.select_hidden(surfaces(pillars, split).curvature)


def centroid_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the sub-voxels with points: (H, S, 3), (H, S, 4) -> scalar."""
    held = target[..., 3] > 0
    return F.mse_loss(predicted[held], target[..., :3][held])


def occupancy_error(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of two logits a sub-voxel, for empty and for holding points: (H, S, 2), (H, S, 4) -> scalar."""
    held = target[..., 3]
    return F.binary_cross_entropy_with_logits(logits, torch.stack([1 - held, held], dim=2))


def normal_error(predicted: Tensor, target: Tensor, either: bool) -> Tensor:
    """Mean squared error of normals where there is one, 0 if there is none: (H, 3), (H, 4) -> scalar.

    Args:
        either: of a normal and its opposite, the nearer one counts.
    """
    normal, known = target[:, :3], target[:, 3]
    error = (predicted - normal).square().mean(1)
    if either:
        error = torch.minimum(error, (predicted + normal).square().mean(1))
    return (error * known).sum() / known.sum().clamp(min=1)
