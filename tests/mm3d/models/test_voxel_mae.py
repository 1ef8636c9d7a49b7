"""Voxel-MAE against arrays of the official implementation, its weights in both directions, and its masks."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.masking import Mask, count_hidden
from core.random import generator
from mm3d.config.voxels import GridConfig, RangeMaskConfig, VoxelEncoderConfig, VoxelMAEConfig
from mm3d.models.voxel_mae import VoxelBatch, VoxelMAE, balanced_occupancy_loss, occupancy_loss
from mm3d.models.voxel_mae_official import (
    backbone_for_detectors,
    config_of,
    from_official,
    state_dict_of,
    to_official,
)
from mm3d.ops.voxel_grid import SparseVoxels, sparse_voxels
from mm3d.voxels.masks import hidden_share, range_mask

GRID = GridConfig((0.0, -8.0, -2.0), (12.0, 8.0, 2.0), (0.25, 0.25, 0.1))  # 41 x 64 x 48 cells, as the golden file
SMALL = VoxelMAEConfig(
    VoxelEncoderConfig(GRID, channels=(4, 8, 8, 8), out_channels=8), (8, 4), RangeMaskConfig((5.0, 9.0))
)


def batch(scenes: int = 2, voxels: int = 300, features: int = 4) -> VoxelBatch:
    source = generator("sweeps", scenes)
    depth, height, width = GRID.shape
    keys = [torch.randperm((depth - 1) * height * width, generator=source)[: voxels + 50 * i].sort().values
            for i in range(scenes)]  # fmt: skip
    indices = torch.cat([
        torch.stack([torch.full_like(k, i), k // (height * width), k // width % height, k % width], 1)
        for i, k in enumerate(keys)
    ])  # fmt: skip
    offsets = torch.tensor([0, *np.cumsum([len(k) for k in keys])])
    return VoxelBatch(torch.randn(len(indices), features, generator=source), indices, offsets)


def small() -> VoxelMAE:
    torch.manual_seed(0)
    return VoxelMAE(SMALL)


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "golden" / "voxel_mae_min.npz", allow_pickle=False)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def official(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("weight/"): value for name, value in golden.items() if name.startswith("weight/")}


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    """Within ``tolerance`` of the largest entry."""
    assert ours.shape == theirs.shape
    assert float(((ours - theirs).abs().max() / theirs.abs().max()).detach()) < tolerance


def assert_same_voxels(ours: SparseVoxels, golden: dict[str, Tensor], stage: str) -> None:
    indices = golden[f"out/{stage}/indices"].long()
    shape = tuple(golden[f"out/{stage}/shape"].tolist())
    theirs, _ = sparse_voxels(indices, golden[f"out/{stage}/features"], shape, 2)  # type: ignore[arg-type]
    assert ours.grid.shape == shape
    assert torch.equal(ours.grid.indices, theirs.grid.indices)
    assert_close(ours.features, theirs.features)


def test_it_gives_the_official_numbers(golden: dict[str, Tensor]) -> None:
    state = official(golden)
    config = config_of(state, GRID, "golden")
    assert config.encoder == VoxelEncoderConfig(GRID)
    model = VoxelMAE(config).eval()
    model.load_state_dict(from_official(state))
    sorted_voxels, _ = sparse_voxels(golden["voxel_coords"], golden["voxel_features"], GRID.shape, 2)
    visible = {tuple(v) for v in golden["visible_coords"].tolist()}
    hidden = torch.tensor([tuple(v) not in visible for v in sorted_voxels.grid.indices.tolist()])
    offsets = torch.cat([torch.zeros(1).long(), sorted_voxels.grid.counts.cumsum(0)])
    voxels = VoxelBatch(sorted_voxels.features, sorted_voxels.grid.indices, offsets)
    stages: dict[str, SparseVoxels] = {}
    dense: list[Tensor] = []
    model.encoder.stem.register_forward_hook(lambda m, i, o: stages.__setitem__("conv_input", o))
    for number, stage in enumerate(model.encoder.stages):
        stage.register_forward_hook(lambda m, i, o, n=number: stages.__setitem__(f"conv{n + 1}", o))
    for number in (2, 5):
        layer = model.objectives["occupancy"].head.layers[number]  # type: ignore[union-attr, index]
        layer.register_forward_hook(lambda m, i, o: dense.append(o))  # type: ignore[union-attr]
    output = model(voxels, Mask(hidden, offsets))
    for name, found in {**stages, "conv_out": output.latent}.items():
        assert_same_voxels(found, golden, name)
    assert_close(dense[0], golden["out/deconv1"])
    assert_close(dense[1], golden["out/deconv2"])
    assert_close(output.predictions["occupancy"], golden["pred"])
    target = torch.zeros(golden["target"].numel())
    target[output.targets["occupancy"]] = 1
    assert torch.equal(target.view_as(golden["target"]), golden["target"])
    assert_close(output.loss, golden["loss"], 1e-6)
    output.loss.backward()
    grads = to_official({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name in ("conv_input.0.weight", "conv2.0.0.weight", "conv_out.0.weight"):
        assert_close(grads[name], golden[f"grad/{name}"], 1e-4)


def test_names_and_shapes_are_the_official_ones(shared: Path) -> None:
    listed = {}
    for line in (shared / "golden" / "keys" / "keys_voxelmae_min.txt").read_text().splitlines():
        name, shape = line.split("\t")
        listed[name] = tuple(int(n) for n in shape.strip("()").split(",") if n.strip())
    model = VoxelMAE(VoxelMAEConfig())
    assert sum(p.numel() for p in model.parameters()) == 829_672
    state = to_official(model.state_dict())
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == listed
    for name, tensor in from_official(state).items():
        assert torch.equal(tensor, model.state_dict()[name])


class PlainBackbone(nn.Module):
    """OpenPCDet's VoxelBackBone8x re-stated on dense grids: the same names, dense convolutions at the same places."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, *geometry: object) -> nn.Sequential:
            holder = nn.Module()
            size = (3, 1, 1) if geometry and geometry[0] == "out" else (3, 3, 3)
            holder.weight = nn.Parameter(torch.zeros(outputs, *size, inputs))
            return nn.Sequential(holder, nn.BatchNorm1d(outputs, eps=1e-3, momentum=0.01), nn.ReLU())

        self.conv_input = block(4, 4)
        self.conv1 = nn.Sequential(block(4, 4))
        self.conv2 = nn.Sequential(block(4, 8), block(8, 8), block(8, 8))
        self.conv3 = nn.Sequential(block(8, 8), block(8, 8), block(8, 8))
        self.conv4 = nn.Sequential(block(8, 8), block(8, 8), block(8, 8))
        self.conv_out = block(8, 8, "out")

    def apply_block(
        self, block: nn.Sequential, x: Tensor, here: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        weight = block[0].weight  # type: ignore[union-attr]
        assert isinstance(weight, Tensor)
        y = F.conv3d(x, weight.permute(0, 4, 1, 2, 3), stride=stride, padding=padding)
        if max(stride) > 1:
            ones = torch.ones(1, 1, *weight.shape[1:4])
            here = F.conv3d(here.float(), ones, stride=stride, padding=padding) > 0.5
        flat = y.permute(0, 2, 3, 4, 1)
        normed = torch.zeros_like(flat)
        normed[here[:, 0]] = block[1:](flat[here[:, 0]])
        return normed.permute(0, 4, 1, 2, 3), here

    def forward(self, x: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
        same = ((1, 1, 1), (1, 1, 1))
        x, here = self.apply_block(self.conv_input, x, here, *same)
        x, here = self.apply_block(self.conv1[0], x, here, *same)  # type: ignore[arg-type]
        for stage, pad in ((self.conv2, 1), (self.conv3, 1), (self.conv4, 0)):
            x, here = self.apply_block(stage[0], x, here, (2, 2, 2), (pad, 1, 1))  # type: ignore[arg-type]
            for block in stage[1:]:
                x, here = self.apply_block(block, x, here, *same)  # type: ignore[arg-type]
        return self.apply_block(self.conv_out, x, here, (2, 1, 1), (0, 0, 0))


def test_a_detector_takes_the_backbone() -> None:
    """The exported names and layout, loaded strictly into a plain re-statement, give the same features."""
    model, data = small().eval(), batch()
    exported = backbone_for_detectors(model.state_dict())
    assert all(name.startswith("backbone_3d.conv") for name in exported)
    detector = nn.Module()
    detector.backbone_3d = PlainBackbone()
    detector.load_state_dict(exported, strict=True)
    detector.eval()
    voxels = model.tokenize(data)
    here = voxels.with_features(torch.ones(len(voxels.grid), 1)).dense() > 0
    dense, occupied = detector.backbone_3d(voxels.dense(), here)
    out = model.encoder(voxels)
    assert occupied[:, 0].nonzero().tolist() == out.grid.indices.tolist()
    torch.testing.assert_close(out.dense(), dense, rtol=1e-4, atol=1e-5)


def test_checkpoints_of_detectors_and_of_the_official_code_are_read() -> None:
    model = small()
    ours = to_official(model.state_dict())
    wrapped = {
        "model_state": {**{f"backbone_3d.{n}": t for n, t in ours.items()}, "dense_head.conv.weight": torch.zeros(1)}
    }
    assert set(state_dict_of(wrapped, "file")) == set(ours) == set(state_dict_of(ours, "file"))
    assert config_of(ours, GRID, "file").encoder == SMALL.encoder
    with pytest.raises(UserError, match=r"file: not VoxelBackBone8x"):
        state_dict_of({"a": torch.zeros(1)}, "file")
    with pytest.raises(UserError, match="file: conv9 is not an entry"):
        from_official({"conv9": torch.zeros(1)}, "file")
    with pytest.raises(UserError, match=r"file: entry 'deconv1\.0\.weight' is missing"):
        config_of({n: t for n, t in ours.items() if not n.startswith("deconv")}, GRID, "file")
    with pytest.raises(UserError, match="file: no state dict"):
        state_dict_of({"model_state": 3}, "file")


def test_masks_hide_the_stated_share_of_every_ring() -> None:
    source = generator("distances")
    lengths = [500, 20, 301]
    distance = torch.rand(sum(lengths), generator=source) * 80
    offsets = torch.tensor([0, *np.cumsum(lengths)])
    edges, ratios = (30.0, 50.0), (0.9, 0.7, 0.5)
    mask = range_mask(distance, offsets, edges, ratios, [generator("mask", i) for i in range(3)])
    for begin, end in itertools.pairwise(offsets):
        d, hidden = distance[begin:end], mask.hidden[begin:end]
        for ring, ratio in zip((d <= 30, (d > 30) & (d <= 50), d > 50), ratios, strict=True):
            assert int(hidden[ring].sum()) == count_hidden(int(ring.sum()), ratio)
    found = hidden_share(mask, distance, edges)
    assert sum(count for count, _ in found) == len(distance)
    for (_, share), ratio in zip(found, ratios, strict=True):
        assert abs(share - ratio) < 0.02
    alone = range_mask(distance[500:520], torch.tensor([0, 20]), edges, ratios, [generator("mask", 1)])
    assert torch.equal(alone.hidden, mask.hidden[500:520])  # a scene's mask does not depend on its neighbours
    again = range_mask(distance, offsets, edges, ratios, generator(3))
    assert torch.equal(again.hidden, range_mask(distance, offsets, edges, ratios, generator(3)).hidden)


def test_masks_choose_uniformly_within_a_ring() -> None:
    distance, offsets = torch.tensor([1.0] * 4 + [9.0] * 4), torch.tensor([0, 8])
    total = sum(range_mask(distance, offsets, (5.0,), (0.5, 0.25), generator(i)).hidden.float() for i in range(800))
    assert isinstance(total, Tensor)
    assert (total[:4] / 800 - 0.5).abs().max() < 0.06
    assert (total[4:] / 800 - 0.25).abs().max() < 0.06


def test_the_released_masks_are_settings() -> None:
    data, model = batch(), small()
    metres = model.distance(data)
    grid = GRID
    x = (data.indices[:, 3] + 0.5) * grid.voxel_size[0] + grid.low[0]
    y = (data.indices[:, 2] + 0.5) * grid.voxel_size[1] + grid.low[1]
    torch.testing.assert_close(metres, torch.hypot(x, y).float())
    model.config.mask = RangeMaskConfig((30.0, 50.0), (0.5, 0.3, 0.3), "cells")
    cells = model.distance(data)
    torch.testing.assert_close(cells, torch.hypot(data.indices[:, 3].float(), data.indices[:, 2].float()))
    model.config.mask = RangeMaskConfig((), (0.5,))
    mask = model.draw_mask(data, generator(0))
    assert mask.counts.tolist() == [count_hidden(n, 0.5) for n in data.offsets.diff().tolist()]
    model.config.mask = SMALL.mask


def test_the_loss_is_binary_cross_entropy() -> None:
    logits = torch.randn(2, 1, 3, 4, 5, generator=generator(0), dtype=torch.float64).requires_grad_()
    occupied = torch.randperm(120, generator=generator(1))[:17]
    target = torch.zeros(120, dtype=torch.float64)
    target[occupied] = 1
    expected = F.binary_cross_entropy_with_logits(logits.flatten(), target)
    torch.testing.assert_close(occupancy_loss(logits, occupied).double(), expected, rtol=1e-6, atol=1e-6)
    each = F.binary_cross_entropy_with_logits(logits.flatten(), target, reduction="none")
    balanced = (each[target == 1].mean() + each[target == 0].mean()) / 2
    torch.testing.assert_close(balanced_occupancy_loss(logits, occupied).double(), balanced, rtol=1e-6, atol=1e-6)
    model = VoxelMAE(VoxelMAEConfig(SMALL.encoder, (8, 4), SMALL.mask, "classes"))
    output = model(batch(), model.draw_mask(batch(), generator(0)))
    torch.testing.assert_close(
        output.loss, balanced_occupancy_loss(output.predictions["occupancy"], output.targets["occupancy"])
    )


def test_every_parameter_learns_and_a_mask_replays() -> None:
    model, data = small(), batch()
    mask = model.draw_mask(data, generator(0))
    first, second = model(data, mask), model(data, mask)
    assert torch.equal(first.loss, second.loss)
    first.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_hidden_voxels_are_not_seen() -> None:
    """Changing the features of hidden voxels changes nothing; changing a visible one does."""
    model, data = small().eval(), batch()
    mask = model.draw_mask(data, generator(0))
    before = model(data, mask).predictions["occupancy"]
    changed = data._replace(features=mask.fill(data.features, torch.full((4,), 7.0)))
    assert torch.equal(model(changed, mask).predictions["occupancy"], before)
    seen = data._replace(features=torch.where(mask.hidden[:, None], data.features, torch.tensor(7.0)))
    assert not torch.equal(model(seen, mask).predictions["occupancy"], before)


def test_scenes_of_a_batch_do_not_see_each_other() -> None:
    model, data = small().eval(), batch()
    end = int(data.offsets[1])
    alone = VoxelBatch(data.features[:end], data.indices[:end], data.offsets[:2])
    torch.testing.assert_close(model.encode(alone), model.encode(data)[:1])
    assert model.encode(data).shape == (2, 16)


def test_reconstruction_names_cells_that_were_not_shown() -> None:
    model, data = small().eval(), batch()
    mask = model.draw_mask(data, generator(0))
    made = model.reconstruct(data, mask)
    visible = {tuple(v) for v in made.visible.tolist()}
    predicted = [tuple(v) for v in made.predicted.tolist()]
    assert not visible & set(predicted)
    assert len(predicted) == len(set(predicted)) == len(made.hidden)
    for scene in (0, 1):
        assert (made.predicted[:, 0] == scene).sum() == mask.counts[scene]
    logits = model(data, mask).predictions["occupancy"]
    chosen = logits[made.predicted[:, 0], 0, *made.predicted[:, 1:].T]
    for scene in (0, 1):
        rest = logits[scene, 0].clone()
        for cells in (made.visible, made.predicted):
            own = cells[cells[:, 0] == scene]
            rest[tuple(own[:, 1:].T)] = -torch.inf
        assert chosen[made.predicted[:, 0] == scene].min() >= rest.max()


def test_a_single_voxel_can_be_trained_on() -> None:
    model = small()
    one = VoxelBatch(torch.ones(2, 4), torch.tensor([[0, 20, 30, 20], [0, 20, 30, 21]]), torch.tensor([0, 2]))
    output = model(one, Mask(torch.tensor([True, False]), one.offsets))
    output.loss.backward()
    assert output.loss.isfinite()


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model, data = small().eval(), batch()
    model.save_pretrained(tmp_path)
    loaded = VoxelMAE.from_pretrained(tmp_path)
    assert loaded.config == SMALL
    assert torch.equal(loaded.encode(data), model.encode(data))


@pytest.mark.parametrize(("make", "said"), [
    (lambda: GridConfig(voxel_size=(0.03, 0.05, 0.1)), "voxel_size 0.03: does not divide"),
    (lambda: GridConfig(voxel_size=(0.0, 0.05, 0.1)), "expected positive edges"),
    (lambda: VoxelMAEConfig(VoxelEncoderConfig(GridConfig(high=(70.4, 40.0, 2.0)))), "50 cells along z; the decoder needs"),
    (lambda: VoxelMAEConfig(VoxelEncoderConfig(GridConfig(high=(70.35, 40.0, 1.0)))), "multiples of 8"),
    (lambda: VoxelEncoderConfig(GridConfig(high=(70.4, 40.0, -2.0))), "too few for four stages"),
    (lambda: VoxelEncoderConfig(channels=(0, 1, 1, 1)), "channels"),
    (lambda: RangeMaskConfig((30.0,)), "one more than the 1 edges"),
    (lambda: RangeMaskConfig((50.0, 30.0)), "ascending"),
    (lambda: RangeMaskConfig((), (1.0,)), "less than 1"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=said):
        make()
