"""Train Point-MAE in a plain PyTorch loop: no recipe, no run folder, no trainer.

python examples/own_loop.py
"""

from __future__ import annotations

import torch

from core.random import generator
from mm3d.config import PatchEncoderConfig, PointMAEConfig, PointsConfig
from mm3d.data import furniture
from mm3d.data.samples import UnlabelledPoints, evaluation_batch
from mm3d.models.point_mae import PointMAE

SEED, EPOCHS, BATCH = 0, 2, 32


def main() -> tuple[float, float]:
    """Train for a few seconds; returns the loss on held-out shapes before and after."""
    torch.manual_seed(SEED)
    config = PointsConfig(count=256)
    data = UnlabelledPoints(furniture("train"), config)
    held_out = evaluation_batch(furniture("test"), range(64), config).points
    encoder = PatchEncoderConfig(groups=16, group_size=8, dim=48, depth=2, heads=3)
    model = PointMAE(PointMAEConfig(encoder, decoder_depth=1, decoder_heads=3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)

    # One mask for all evaluations: drawn once, given every time.
    mask = model.draw_mask(held_out, generator(SEED, "held out"))

    def score() -> float:
        model.eval()
        with torch.no_grad():
            loss = model(held_out, mask).loss.item()
        model.train()
        return loss

    before = score()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(data), generator=generator(SEED, epoch, "order")).tolist()
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            points = data.collate([data.sample(i, generator(SEED, epoch, i, "data")) for i in chosen])
            # One generator a sample: the mask of a shape does not depend on its neighbours in the batch.
            output = model(points, model.draw_mask(points, [generator(SEED, epoch, i, "mask") for i in chosen]))
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"epoch {epoch + 1}: training loss {output.loss.item():.4f}, held-out loss {score():.4f}")
    features = model.eval().encode(held_out)
    print(f"features of {len(features)} held-out shapes: {features.shape[1]} numbers each")
    return before, score()


if __name__ == "__main__":
    main()
