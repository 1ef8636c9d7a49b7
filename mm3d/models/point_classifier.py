"""Classification of clouds on a pretrained patch encoder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.batchnorm import BatchNorm
from core.dropout import Dropout
from core.saving import Pretrained
from mm3d.config import PatchEncoderConfig, PointClassifierConfig
from mm3d.layers.patch_encoder import PatchEncoder


class PointClassifier(Pretrained, nn.Module):
    """Class token and maximum over patch tokens, concatenated, through a small head.

    The class token and its position are new at fine-tuning where pretraining had none: Point-MAE's has not, Point-BERT's has.

    Shapes: ``forward(points)``: (B, N, 3) -> (B, number of classes) logits.

    Source: Pang et al., "Point-MAE", Section 4.2; PointTransformer in models/Point_MAE.py of its official code;
    Yu et al., "Point-BERT", Section 4.2, and models/Point_BERT.py of its official code (``head_layers=1, head_norm=False``).
    """

    Config = PointClassifierConfig

    def __init__(self, config: PointClassifierConfig) -> None:
        super().__init__()
        self.config = config
        dim, hidden = config.encoder.dim, config.hidden
        self.encoder = PatchEncoder(config.encoder)
        self.cls_token = nn.Parameter(torch.empty(dim))
        # Two dimensions, so that weight decay applies, as to the official cls_pos (and not to cls_token).
        self.cls_position = nn.Parameter(torch.empty(1, dim))
        for token in (self.cls_token, self.cls_position):
            nn.init.trunc_normal_(token, std=0.02)
        self.head = perceptron(
            (2 * dim, *[hidden] * config.head_layers), len(config.classes), config.head_norm, config.dropout
        )

    @property
    def patching(self) -> PatchEncoderConfig:
        """What says how many patches a cloud has, and of how many points."""
        return self.config.encoder

    def forward(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits; labels are not looked at, and taken so that all supervised models are called alike."""
        return self.head(self.encode(points))

    def tokens(self, points: Tensor) -> Tensor:
        """Normalised tokens, class token first: (B, N, 3) -> (B, 1 + G, C)."""
        patches = self.encoder.patchify(points)
        tokens = self.encoder.embed_patches(patches.neighborhoods)
        position = self.encoder.position(patches.centers)
        first = self.cls_token.to(tokens.dtype).expand(len(tokens), 1, -1)
        first_position = self.cls_position.to(position.dtype).expand(len(tokens), 1, -1)
        return self.encoder.transformer(torch.cat([first, tokens], 1), torch.cat([first_position, position], 1))

    def encode(self, points: Tensor) -> Tensor:
        """Features of clouds: class token and maximum over patch tokens, (B, N, 3) -> (B, 2C)."""
        tokens = self.tokens(points)
        return torch.cat([tokens[:, 0], tokens[:, 1:].amax(1)], -1)


def perceptron(widths: Sequence[int], out: int, norm: bool, dropout: float) -> nn.Sequential:
    """Hidden layers with ReLU and dropout, and a last layer: positions in the sequence are the names in official checkpoints."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        norms = [BatchNorm(after)] if norm else []
        layers += [nn.Linear(before, after), *norms, nn.ReLU(inplace=True), Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out))
