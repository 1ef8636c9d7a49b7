"""Fine-tuning on the classes of voxels: the pretrained backbone and a linear layer, trained together."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.untrained import untrained
from core.random import derive_seed, generator
from mm3d.config.voxels import SweepsConfig, VoxelEncoderConfig
from mm3d.data.semantic_kitti import LabelledSweep
from mm3d.data.sweep_samples import augmented
from mm3d.data.sweeps import in_grid
from mm3d.layers.voxel_backbone import VoxelBackbone
from mm3d.models.voxel_mae import VoxelBatch, VoxelMAE
from mm3d.ops.voxel_grid import SparseVoxels, VoxelGrid
from mm3d.voxels.probe import SegmentationScore, VoxelSet, majority, segmentation_score


class VoxelSegmenter(nn.Module):
    """A class for every voxel, from what all stages of the backbone say of its place: (N, features) -> (N, classes)."""

    def __init__(self, encoder: VoxelBackbone, classes: int) -> None:
        super().__init__()
        config = encoder.config
        width = sum(config.channels) + config.out_channels
        self.encoder = encoder
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, classes))

    def forward(self, batch: VoxelBatch) -> Tensor:
        grid = VoxelGrid(batch.indices, self.encoder.config.grid.shape, len(batch.offsets) - 1, check=False)
        return self.head(self.encoder.at_voxels(SparseVoxels(batch.features, grid)))


def finetune_voxels(
    model: VoxelMAE, found: VoxelSet, classes: int, seeds: int = 3, steps: int = 100, lr: float = 3e-3
) -> list[tuple[str, MeanStd, MeanStd]]:
    """Held-out scores of the fine-tuned backbone, beside the same network from fresh weights.

    The last step's network is scored; nothing is selected on held-out voxels.

    Args:
        found: labelled voxels, of which some are held out.
        classes: how many there are.
        seeds: of the head, the order of the sweeps, and the fresh weights.
        steps: of AdamW, one sweep each, learning rate falling to zero on a cosine.

    Returns:
        (start, accuracy, mean IoU) of each.
    """
    rows = []
    for name in ("pretrained", "from scratch"):
        scores = []
        for seed in range(seeds):
            start = copy.deepcopy(model) if name == "pretrained" else untrained(model, seed)
            scores.append(_finetune(start.encoder, found, classes, seed, steps, lr))
        rows.append((name, mean_std([s.accuracy for s in scores]), mean_std([s.miou for s in scores])))
    return rows


def _finetune(
    encoder: VoxelBackbone, found: VoxelSet, classes: int, seed: int, steps: int, lr: float
) -> SegmentationScore:
    torch.manual_seed(derive_seed(seed, "head"))
    network = VoxelSegmenter(encoder, classes).train()
    sweeps = [sweep for sweep in found.training if (sweep.labels >= 0).any()]
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        draws = generator(seed, step, "finetune")
        sweep = sweeps[int(torch.randint(len(sweeps), (), generator=draws))]
        batch, target = turned(sweep, encoder.config, draws)
        if not bool((target >= 0).any()):  # turned out of a range that looks one way
            continue
        loss = F.cross_entropy(network(batch), target, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        predicted = [network(batch).argmax(dim=1).numpy() for batch in found.batches]
    return segmentation_score(found.select(predicted, True), found.joined(True))


def turned(sweep: LabelledSweep, encoder: VoxelEncoderConfig, draws: torch.Generator) -> tuple[VoxelBatch, Tensor]:
    """A sweep mirrored, turned by any angle and scaled, as a batch of one, and the class of each voxel."""
    config = SweepsConfig(max_points=0, max_voxels=0, augment=("flip_y", "rotate", "scale"), rotation=math.pi)
    made = in_grid(augmented(torch.from_numpy(np.array(sweep.points)), config, draws), config, encoder.grid)
    indices = torch.cat([torch.zeros(len(made.indices), 1, dtype=torch.int64), made.indices], dim=1)
    labels = majority(made.voxel_of.numpy(), sweep.labels, len(indices))
    offsets = torch.tensor([0, len(indices)])
    return VoxelBatch(made.features[:, : encoder.features], indices, offsets), torch.from_numpy(labels)
