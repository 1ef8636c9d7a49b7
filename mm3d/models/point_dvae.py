"""The tokenizer of Point-BERT: a discrete VAE whose codes are local shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from core.quantizers import GumbelQuantizer
from core.quantizers.gumbel import cosine_between, gumbel_noise
from core.random import Randomness
from core.saving import Pretrained
from core.tokenizer import Tokenizer, TokenizerOutput
from mm3d.config import CosineConfig, PointDVAEConfig
from mm3d.config.point_dvae import GRID
from mm3d.layers.dgcnn import PatchGraph, nearest_centers
from mm3d.layers.folding import FoldingDecoder
from mm3d.layers.mini_pointnet import MiniPointNet
from mm3d.layers.patch_encoder import pooled
from mm3d.layers.patches import Patches, patchify
from mm3d.looks import Looks, Picture
from mm3d.ops import chamfer_l1
from mm3d.rows import CodeRow


class DecodedPatches(NamedTuple):
    """Patches as points relative to their centres: ``coarse`` (B, G, K / 4, 3), ``fine`` (B, G, K, 3)."""

    coarse: Tensor
    fine: Tensor


class DecodedCloud(NamedTuple):
    """What the codes of clouds decode to, in the coordinates of the input.

    ``ids``: (B, G) int64. ``centers``: (B, G, 3). ``given``: (B, G, K, 3) points of the patches. ``decoded``: (B, G, K, 3)
    what their codes give.
    """

    ids: Tensor
    centers: Tensor
    given: Tensor
    decoded: Tensor


class PointDVAE(Pretrained, Looks, Tokenizer):
    """Patches of a cloud as codes of a learned vocabulary, each in the context of its neighbours, and back.

    Mini-PointNet and a graph network give the logits of every patch; codes are mixed by a softmax with Gumbel noise; a
    second graph network and a folding decoder give the points. The loss is Chamfer-L1 of the coarse and of the fine points,
    and the divergence of the uniform distribution from the mean use of codes in a cloud, with a weight that grows.

    Args:
        config: sizes and schedules; the defaults are the published model.

    Shapes: a batch is points (B, N, 3), centred and within the unit sphere. ``inputs`` gives :class:`Patches`, ``ids`` takes
    them and gives (B, G); noise is (B, G, codes). ``encode`` gives (B, F) for probes.

    Source: Yu et al., "Point-BERT: Pre-training 3D Point Cloud Transformers with Masked Point Modeling", CVPR 2022,
    Section 3.2 and Appendix A; models/dvae.py and tools/runner.py of its official code. The weight of the divergence waits
    for 10,000 steps there, of which the paper does not tell.
    """

    Config = PointDVAEConfig
    steps: Tensor

    def __init__(self, config: PointDVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = MiniPointNet(config.dim, config.widths)
        self.to_codes = PatchGraph(config.dim, config.codes, config.graph_widths)
        self.quantizer = GumbelQuantizer(config.codes, config.dim)
        self.from_codes = PatchGraph(config.dim, config.dim, config.graph_widths)
        self.decoder = FoldingDecoder(config.dim, config.group_size, config.coarse_width, config.fold_width, GRID)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def codes(self) -> int:
        return self.config.codes

    @property
    def temperature(self) -> float:
        """Temperature of the softmax over codes after the steps done so far."""
        return self._now(self.config.temperature)

    @property
    def kl_weight(self) -> float:
        """Weight of the divergence after the steps done so far."""
        return self._now(self.config.kl_weight)

    @property
    def patching(self) -> PointDVAEConfig:
        """What says how many patches a cloud has, and of how many points."""
        return self.config

    def inputs(self, batch: Tensor) -> Patches:
        """Patches of (B, N, 3) clouds."""
        config = self.config
        return patchify(batch, config.groups, config.group_size, config.skip_near_origin)

    def draw_noise(self, batch: Tensor, randomness: Randomness = None) -> Tensor:
        """Gumbel noise of every patch and code: (B, G, codes) float32 on the CPU."""
        return gumbel_noise((len(batch), self.config.groups, self.config.codes), randomness)

    def logits(self, patches: Patches) -> Tensor:
        """How well each code fits each patch: (B, G, codes)."""
        neighbors = nearest_centers(patches.centers, self.config.neighbors)
        return self.to_codes(self._embedded(patches), neighbors)

    def forward(self, batch: Tensor, noise: Tensor | None = None) -> TokenizerOutput:
        patches = self.inputs(batch)
        quantized = self.quantizer(
            self.logits(patches), None if noise is None else noise.to(batch.device), self.temperature
        )
        decoded = self.decode_vectors(quantized.vectors, patches.centers)
        target = patches.neighborhoods.flatten(0, 1)
        parts = {
            "coarse": chamfer_l1(decoded.coarse.flatten(0, 1), target),
            "fine": chamfer_l1(decoded.fine.flatten(0, 1), target),
            "uniform": quantized.losses["uniform"],
        }
        loss = parts["coarse"] + parts["fine"] + self.kl_weight * parts["uniform"]
        return TokenizerOutput(loss, {name: part.detach() for name, part in parts.items()}, quantized.ids, decoded)

    @torch.no_grad()
    def ids(self, inputs: Patches) -> Tensor:
        """The likeliest code of every patch: (B, G) int64."""
        return self.quantizer.encode(self.logits(inputs))

    def decode(self, ids: Tensor, centers: Tensor) -> Tensor:
        """Points that codes stand for: (B, G) int64, (B, G, 3) -> (B, G, K, 3) relative to the centres.

        A code is decoded in the context of its neighbours, so the same one gives different points in other clouds.
        """
        return self.decode_vectors(self.quantizer.decode(ids), centers).fine

    def decode_vectors(self, vectors: Tensor, centers: Tensor) -> DecodedPatches:
        """Points that mixtures of codes stand for: (B, G, C), (B, G, 3) -> coarse and fine."""
        features = self.from_codes(vectors, nearest_centers(centers, self.config.neighbors))
        coarse, fine = self.decoder(features.flatten(0, 1))
        shape = features.shape[:2]
        return DecodedPatches(coarse.unflatten(0, shape), fine.unflatten(0, shape))

    def encode(self, batch: Tensor) -> Tensor:
        """Features of whole clouds: maximum and mean over patches of what the graph network's layers give, (B, F)."""
        patches = self.inputs(batch)
        neighbors = nearest_centers(patches.centers, self.config.neighbors)
        return pooled(self.to_codes.features(self._embedded(patches), neighbors))

    @torch.no_grad()
    def reconstruct(self, batch: Tensor) -> DecodedCloud:
        """Codes of clouds, and what they decode to in their own coordinates."""
        patches = self.inputs(batch)
        ids, centers = self.ids(patches), patches.centers.unsqueeze(2)
        decoded = self.decode(ids, patches.centers).float()
        return DecodedCloud(ids, patches.centers, patches.neighborhoods + centers, decoded + centers)

    def look(self, points: Tensor, names: Sequence[str], randomness: Randomness = None) -> list[CodeRow]:
        """Input, the same coloured by codes, and what they decode to."""
        from mm3d.code_pictures import code_colours, code_rows

        made = self.reconstruct(points)
        return code_rows(points, made.ids, made.centers, made.decoded, code_colours(self.quantizer.codebook), names)

    def shown(self) -> str:
        return "Every point has the colour of its patch's code; like codes have like colours."

    def pictures(self, points: Tensor, out: str | Path, up: str = "y") -> list[Picture]:
        """What the most used codes look like, and how often each occurs in these clouds."""
        from mm3d.code_pictures import TIMES, plot_codes, plot_usage

        parts = [self.reconstruct(part) for part in points.split(32)]
        ids = torch.cat([part.ids for part in parts])
        patches = torch.cat([part.decoded - part.centers.unsqueeze(2) for part in parts])
        look = plot_codes(ids, patches, f"{out}-codes.png", up)
        counts = torch.bincount(ids.flatten(), minlength=self.codes)
        used = plot_usage(counts, f"{out}-usage.png")
        said = f"The most used codes with their share of the patches: what each decodes to in up to {TIMES} places (colours)."
        return [
            Picture("What the codes look like", look, said),
            Picture("How often each code occurs", used, f"{len(points)} shapes, {ids.numel():,} patches."),
        ]

    def after_step(self, steps: int) -> None:
        self.steps.fill_(steps)

    def _embedded(self, patches: Patches) -> Tensor:
        return self.encoder(patches.neighborhoods.flatten(0, 1)).unflatten(0, patches.centers.shape[:2])

    def _now(self, schedule: CosineConfig) -> float:
        return cosine_between(schedule.start, schedule.end, int(self.steps) - schedule.wait, schedule.steps)
