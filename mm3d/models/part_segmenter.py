"""Part segmentation on a pretrained patch encoder: one label a point."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.dropout import Dropout
from core.saving import Pretrained
from mm3d.config import PartSegmenterConfig, PatchEncoderConfig
from mm3d.layers.patch_encoder import PatchEncoder
from mm3d.layers.propagation import interpolate


class PartSegmenter(Pretrained, nn.Module):
    """Outputs of three blocks, interpolated to every point and joined with their maximum, mean and the shape's class.

    Where the data has shape classes, their one-hot code is an input, as is the habit on ShapeNetPart; where it has
    none, that branch is absent.

    Shapes: ``forward(points, labels=None)``: (B, N, 3), (B,) int64 -> (B, N, number of parts) logits.

    Source: segmentation/models/pt.py of Point-MAE's official code (widths 1536-1024 and 512-256, dropout 0.5 once).
    """

    Config = PartSegmenterConfig

    def __init__(self, config: PartSegmenterConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchEncoder(config.encoder)
        dim = config.encoder.dim
        width = dim * len(config.layers)
        self.class_code = (
            _perceptron(len(config.classes), 64, nn.LeakyReLU(0.2), bias=False) if config.classes else None
        )
        self.spread = nn.Sequential(_perceptron(width + 3, 4 * dim), _perceptron(4 * dim, 1024))
        self.head = nn.Sequential(
            _perceptron(1024 + 2 * width + (64 if config.classes else 0), 512),
            Dropout(0.5),
            _perceptron(512, 256),
            nn.Linear(256, len(config.parts)),
        )

    @property
    def patching(self) -> PatchEncoderConfig:
        """What says how many patches a cloud has, and of how many points."""
        return self.config.encoder

    def forward(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        patches = self.encoder.patchify(points)
        outputs = self.encoder.transformer.layers(
            self.encoder.embed_patches(patches.neighborhoods), self.encoder.position(patches.centers)
        )
        read = torch.cat([self.encoder.transformer.norm(outputs[i]) for i in self.config.layers], -1)
        whole = [read.amax(1), read.mean(1)]
        if self.class_code is not None:
            if labels is None:
                raise ValueError("this segmenter was made for shapes with classes: labels are needed")
            whole.append(self.class_code(F.one_hot(labels, len(self.config.classes)).to(read.dtype)))
        count = points.shape[1]
        local = torch.cat([points.to(read.dtype), interpolate(points, patches.centers, read)], -1)
        spread = self.spread(local.flatten(0, 1)).view(len(points), count, -1)
        shared = torch.cat(whole, -1).unsqueeze(1).expand(-1, count, -1)
        joined = torch.cat([spread, shared], -1)
        return self.head(joined.flatten(0, 1)).view(len(points), count, -1)


def _perceptron(width: int, out: int, activation: nn.Module | None = None, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out, bias=bias), BatchNorm(out), activation or nn.ReLU(inplace=True))
