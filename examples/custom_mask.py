"""Write a mask of your own and train with it: hide everything on one side of a random plane.

A mask is made by any function that returns ``Mask(hidden)``, True where a patch is hidden.

python examples/custom_mask.py
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from core.masking import Mask, count_hidden
from core.random import generator
from mm3d.config import PatchEncoderConfig, PointMAEConfig, PointsConfig
from mm3d.data import furniture
from mm3d.data.samples import UnlabelledPoints
from mm3d.models.point_mae import PointMAE


def half_space_mask(centers: Tensor, ratio: float, source: torch.Generator) -> Mask:
    """Hide the patches that lie farthest along a random direction, another one for each cloud.

    Args:
        centers: (B, G, 3) centres of the patches.
        ratio: share of the patches to hide.
        source: CPU generator of the directions.
    """
    direction = F.normalize(torch.randn(len(centers), 3, generator=source), dim=-1).to(centers)
    along = torch.einsum("bgc,bc->bg", centers, direction)
    rank = along.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return Mask(rank < count_hidden(centers.shape[1], ratio))


def main() -> list[float]:
    """Train for a few seconds with the mask above; returns the loss of every step."""
    torch.manual_seed(0)
    data = UnlabelledPoints(furniture("train"), PointsConfig(count=256))
    encoder = PatchEncoderConfig(groups=16, group_size=8, dim=48, depth=2, heads=3)
    model = PointMAE(PointMAEConfig(encoder, decoder_depth=1, decoder_heads=3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    losses = []
    for step in range(30):
        chosen = torch.randperm(len(data), generator=generator(0, step, "order"))[:32].tolist()
        points = data.collate([data.sample(i, generator(0, step, i, "data")) for i in chosen])
        mask = half_space_mask(model.tokenize(points).centers, 0.6, generator(0, step, "mask"))
        output = model(points, mask)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(output.loss.item())
    print(f"{mask.counts[0]} of {mask.lengths[0]} patches hidden; loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main()
