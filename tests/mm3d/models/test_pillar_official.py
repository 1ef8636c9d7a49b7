"""Official names of the two systems on pillars, and SST's detectors: a plain re-statement takes the weights and agrees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_mm3d import command
from tiny_pillars import ENCODER, batch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.random import generator
from mm3d.config.pillars import GeoMAEConfig, HessVoxelMAEConfig
from mm3d.layers.pillars import Pillars
from mm3d.layers.windows import regions
from mm3d.models import load_model
from mm3d.models.geomae import GeoMAE
from mm3d.models.pillar_official import backbone_for_detectors, config_of, from_official, to_official
from mm3d.models.voxel_mae_hess import HessVoxelMAE

Model = HessVoxelMAE | GeoMAE


def model_of(kind: str) -> Model:
    torch.manual_seed(0)
    made = (
        HessVoxelMAE(HessVoxelMAEConfig(ENCODER, 1))
        if kind == "hess"
        else GeoMAE(GeoMAEConfig(ENCODER, decoder_depth=1))
    )
    for _ in range(2):
        made(batch(), made.draw_mask(batch(), generator(0)))  # statistics of batch norm
    return made.eval()


class PointLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.linear(x)))


class WindowLayer(nn.Module):
    """SST's encoder layer with torch's attention, window by window."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.win_attn = nn.Module()
        self.win_attn.self_attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, indices: Tensor, moved: bool) -> Tensor:
        where, mixed = regions(indices, ENCODER.window, moved, ENCODER.dim), torch.zeros_like(x)
        sizes = where.offsets.diff().tolist()
        for rows, place in zip(where.order.split(sizes), where.position.split(sizes), strict=True):
            query = (x[rows] + place)[None]
            mixed[rows] = self.win_attn.self_attn(query, query, x[rows][None])[0][0]  # type: ignore[operator]
        x = self.norm1(x + mixed)
        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))


class Detector(nn.Module):
    """The part of a detector that is pretrained, with SST's names."""

    def __init__(self) -> None:
        super().__init__()
        self.voxel_encoder = nn.Module()
        self.voxel_encoder.vfe_layers = nn.ModuleList([PointLayer(10, 8), PointLayer(16, 16)])
        self.backbone = nn.Module()
        self.backbone.block_list = nn.ModuleList(nn.Module() for _ in range(2))
        for block in self.backbone.block_list:
            block.encoder_list = nn.ModuleList(WindowLayer(16, 2, 24) for _ in range(2))

    def forward(self, pillars: Pillars) -> Tensor:
        xyz, of, counts = pillars.points[:, :3], pillars.pillar_of, pillars.counts.tolist()
        x = torch.cat([pillars.points, xyz - pillars.centroids[of], xyz - pillars.centers[of]], dim=1)
        first, second = self.voxel_encoder.vfe_layers  # type: ignore[misc, union-attr]
        x = first(x)
        x = second(torch.cat([x, torch.stack([p.amax(0) for p in x.split(counts)])[of]], dim=1))
        x = torch.stack([part.amax(0) for part in x.split(counts)])
        for block in self.backbone.block_list:  # type: ignore[union-attr]
            for number, layer in enumerate(block.encoder_list):
                x = layer(x, pillars.indices, moved=number == 1)
        return x


@pytest.mark.parametrize("kind", ["hess", "geomae"])
def test_a_detector_takes_the_encoder(kind: str) -> None:
    model, data = model_of(kind), batch()
    detector = Detector().eval()
    detector.load_state_dict(backbone_for_detectors(model.state_dict()), strict=True)
    torch.testing.assert_close(detector(model.tokenize(data)), model.tokens(data), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["hess", "geomae"])
def test_there_and_back(kind: str) -> None:
    model = model_of(kind)
    state = model.state_dict()
    theirs = to_official(state)
    assert len(theirs) == len(state)
    back = from_official(theirs, state)
    assert all(torch.equal(back[name], state[name]) for name in state)
    found = config_of(theirs, "file")
    assert found.encoder.dim == 16
    assert (found.encoder.depth, found.encoder.point_dim, found.encoder.hidden, found.decoder_depth) == (2, 8, 24, 1)


def test_names_and_shapes_of_the_released_code() -> None:
    """As its source has them: a convolution of one tap for heads, one row for the mask token."""
    theirs = {name: tuple(tensor.shape) for name, tensor in to_official(model_of("hess").state_dict()).items()}
    assert theirs["bbox_head.conv_chamfer.weight"] == (30, 16, 1)
    assert theirs["bbox_head.conv_occupied.bias"] == (1,)
    assert theirs["neck.mask_token"] == (1, 16)
    assert theirs["neck.block_list.0.encoder_list.1.win_attn.self_attn.in_proj_weight"] == (48, 16)
    theirs = {name: tuple(tensor.shape) for name, tensor in to_official(model_of("geomae").state_dict()).items()}
    assert theirs["backbone.decoder_pred_low.weight"] == (3 * 128, 16)
    assert theirs["backbone.cls_pred_med.weight"] == (2 * 16, 16)
    assert theirs["backbone.decoder_pred_density_top.bias"] == (3,)
    assert theirs["backbone.decoder_density_blocks.0.encoder_list.0.linear1.weight"] == (24, 16)


def test_vectors_are_turned() -> None:
    """Their centroids and normals are (z, y, x)."""
    model, data = model_of("geomae"), batch()
    output = model(data, model.draw_mask(data, generator(0)))
    theirs = to_official(model.state_dict())
    tokens = output.latent.hidden("centroids", output.mask)
    made = F.linear(tokens, theirs["backbone.decoder_pred_med.weight"], theirs["backbone.decoder_pred_med.bias"])
    torch.testing.assert_close(made.view(-1, 16, 3).flip(2), output.predictions["centroid_middle"])
    tokens = output.latent.hidden("surface", output.mask)
    name = "backbone.decoder_pred_density_top"
    made = F.linear(tokens, theirs[f"{name}.weight"], theirs[f"{name}.bias"])
    torch.testing.assert_close(made.flip(1), output.predictions["normal"])


@pytest.mark.parametrize("kind", ["hess", "geomae"])
def test_the_command(kind: str, tmp_path: Path) -> None:
    """A checkpoint as mmdetection writes it becomes a folder; a model becomes the encoder of a detector."""
    torch.manual_seed(0)
    config = HessVoxelMAEConfig if kind == "hess" else GeoMAEConfig
    model = HessVoxelMAE(config()) if kind == "hess" else GeoMAE(config())  # type: ignore[arg-type]
    torch.save({"meta": {"epoch": 200}, "state_dict": to_official(model.state_dict())}, tmp_path / "official.pth")
    said = command("convert", tmp_path / "official.pth", tmp_path / "ours")
    assert said.status == 0, said.err
    loaded = load_model(tmp_path / "ours")
    assert loaded.config == config()
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), model.state_dict().values(), strict=True)
    )
    said = command("convert", tmp_path / "ours", tmp_path / "detector.pth")
    assert said.status == 0, said.err
    exported = torch.load(tmp_path / "detector.pth", weights_only=True)["state_dict"]
    assert all(name.startswith(("voxel_encoder.", "backbone.block_list.")) for name in exported)
    assert len(exported) == 2 * 6 + 12 * 2 * model.config.encoder.depth
    assert command("convert", tmp_path / "ours", tmp_path / "detector.pth").status != 0  # it is there already


def test_other_weights_are_refused(tmp_path: Path) -> None:
    model = model_of("hess")
    theirs = to_official(model.state_dict())
    with pytest.raises(UserError, match=r"file: neck\.mask_token is missing; expected the weights of Voxel-MAE"):
        from_official({n: t for n, t in theirs.items() if n != "neck.mask_token"}, model.state_dict(), "file")
    with pytest.raises(UserError, match=r"file: z has no place"):
        from_official({**theirs, "z": torch.zeros(1)}, model.state_dict(), "file")
    with pytest.raises(UserError, match=r"file: entry .* is missing"):
        config_of({"bbox_head.conv_chamfer.weight": torch.zeros(30, 8, 1)}, "file")
    curved = GeoMAE(GeoMAEConfig(ENCODER, decoder_depth=1, curvature_weight=1.0))
    with pytest.raises(UserError, match="official model has no such entry"):
        to_official(curved.state_dict())
    torch.save({"state_dict": {"bbox_head.conv_chamfer.weight": torch.zeros(30, 8, 1)}}, tmp_path / "bad.pth")
    said = command("convert", tmp_path / "bad.pth", tmp_path / "out")
    assert said.status != 0
    assert "bad.pth" in said.err
    assert not (tmp_path / "out").exists()
