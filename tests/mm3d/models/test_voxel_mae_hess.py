"""Voxel-MAE of Hess et al.: its forward pass against a plain re-statement, targets, masks, gradients, files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_pillars import ENCODER, GRID, batch, sweep
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError
from core.masking import Mask
from core.random import generator
from mm3d.config.pillars import HessVoxelMAEConfig, PillarEncoderConfig
from mm3d.data.pillar_samples import pillar_batch
from mm3d.layers.pillars import Pillars, pillarize
from mm3d.models import load_model
from mm3d.models.geomae import GeoMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE, hidden_counts, hidden_points, which_are_empty
from mm3d.pillars.masks import PillarMask

SMALL = HessVoxelMAEConfig(ENCODER, decoder_depth=1, points=5)


def small(config: HessVoxelMAEConfig = SMALL) -> HessVoxelMAE:
    torch.manual_seed(0)
    return HessVoxelMAE(config)


def test_the_published_model() -> None:
    with torch.device("meta"):
        model = HessVoxelMAE(HessVoxelMAEConfig())
    layer = 3 * 128 * 128 + 3 * 128 + 128 * 128 + 128 + 2 * 128 * 256 + 256 + 128 + 4 * 128
    features = 10 * 64 + 2 * 64 + 128 * 128 + 2 * 128
    heads = 129 * (30 + 1 + 1)
    assert sum(p.numel() for p in model.parameters()) == 28 * layer + features + 128 + heads == 3_731_104
    assert model.config.encoder.grid.shape == (1, 200, 200)


def test_it_begins_as_the_released_heads_do() -> None:
    model = small()
    assert torch.allclose(model.objectives["empty"].head.linear.bias.sigmoid(), torch.tensor(0.01))  # type: ignore[union-attr]
    assert model.objectives["count"].head.linear.bias == 0  # type: ignore[union-attr]
    assert model.objectives["chamfer"].head.linear.weight.std() < 0.02  # type: ignore[union-attr]


def test_forward_is_the_released_one_written_out() -> None:
    """Features of all pillars, encoder on visible ones, one mask token for hidden and empty ones, heads, three losses."""
    model, data = small().train(), batch()
    mask = model.draw_mask(data, generator(0))
    output = model(data, mask)
    pillars, inner = Pillars(data, GRID), model.encoder
    features = inner.backbone.embed(pillars)
    visible = inner.backbone.transformer(features[~mask.hidden], data.indices[~mask.hidden])
    torch.testing.assert_close(output.latent.visible, visible)
    tokens = inner.mask_token.repeat(len(data.indices) + len(mask.empty), 1)
    tokens[: len(data.indices)][~mask.hidden] = visible  # in the order of the pillars, not ours
    decoded = inner.decoders["points"](tokens, torch.cat([data.indices, mask.empty]))
    heads = {name: objective.head.linear for name, objective in model.objectives.items()}  # type: ignore[union-attr]
    hidden = decoded[: len(data.indices)][mask.hidden]

    target = torch.zeros(len(decoded))
    target[len(data.indices) :] = 1
    empty = F.binary_cross_entropy_with_logits(heads["empty"](decoded)[:, 0], target)  # type: ignore[operator]
    torch.testing.assert_close(output.parts["empty"], empty.detach())

    counts = data.counts[mask.hidden].float()
    difference = (heads["count"](hidden)[:, 0] - counts).abs()  # type: ignore[operator]
    smooth = torch.where(difference < 1, difference**2 / 2, difference - 0.5).mean()
    torch.testing.assert_close(output.parts["count"], smooth.detach())

    predicted = heads["chamfer"](hidden).view(-1, 5, 3).tanh()  # type: ignore[operator]
    there, back = [], []
    parts = data.points.split(data.counts.tolist())
    rows = mask.hidden.nonzero().squeeze(1).tolist()
    for made, row in zip(predicted, rows, strict=True):
        true = (parts[row][:, :3] - pillars.centers[row]) / (torch.tensor(GRID.voxel_size) / 2)
        pairs = (made[:, None] - true[None]).square().sum(-1)
        there.append(pairs.amin(1).mean())
        back.append(pairs.amin(0).mean())
    chamfer = torch.stack(there).mean() + torch.stack(back).mean()
    torch.testing.assert_close(output.parts["chamfer"], chamfer.detach())
    torch.testing.assert_close(output.loss, empty + smooth + chamfer)


def test_targets() -> None:
    model, data = small(), batch()
    mask = model.draw_mask(data, generator(0))
    pillars = model.tokenize(data)
    points = hidden_points(pillars, mask)
    assert points.shape == (int(data.counts[mask.hidden].sum()), 4)
    assert points[:, :3].abs().max() <= 1 + 1e-5
    size = torch.tensor(GRID.voxel_size) / 2
    for number, row in enumerate(mask.hidden.nonzero().squeeze(1).tolist()):
        metres = points[points[:, 3] == number][:, :3] * size + pillars.centers[row]
        torch.testing.assert_close(metres, data.points[pillars.pillar_of == row][:, :3], rtol=1e-5, atol=1e-5)
    assert torch.equal(hidden_counts(pillars, mask), data.counts[mask.hidden].float())
    empty = which_are_empty(pillars, mask)
    assert empty.sum() == len(mask.empty) > 0
    assert (empty[: len(pillars)] == 0).all()


def test_weights_of_the_parts() -> None:
    config = HessVoxelMAEConfig(ENCODER, 1, points=5, chamfer_weight=2.0, count_weight=0.5, empty_weight=0.0)
    model, data = small(config), batch()
    output = model(data, model.draw_mask(data, generator(0)))
    torch.testing.assert_close(output.loss.detach(), 2 * output.parts["chamfer"] + 0.5 * output.parts["count"])


def test_every_parameter_learns_and_a_mask_replays() -> None:
    model, data = small(), batch()
    mask = model.draw_mask(data, generator(0))
    first, second = model(data, mask), model(data, mask)
    assert torch.equal(first.loss, second.loss)
    again = model.draw_mask(data, generator(0))
    assert torch.equal(again.hidden, mask.hidden)
    assert torch.equal(again.empty, mask.empty)
    first.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_finite_differences() -> None:
    """The gradient of the loss along random directions of all parameters."""
    model, data = small().double().eval(), batch()
    data = data._replace(points=data.points.double())
    mask = model.draw_mask(data, generator(0))
    loss = model(data, mask).loss
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    source = generator("directions")
    directions = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in parameters]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))

    def moved(step: float) -> float:
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += step * direction
            value = float(model(data, mask).loss)
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter -= step * direction
        return value

    measured = (moved(1e-6) - moved(-1e-6)) / 2e-6
    assert abs(measured - slope) < 1e-4 * abs(slope)


def test_hidden_points_are_not_seen() -> None:
    """Other points in hidden pillars change no prediction, other points in visible ones do."""
    model, data = small(HessVoxelMAEConfig(_visible(), 1, points=5)).train(), batch()
    mask = model.draw_mask(data, generator(0))
    unseen = mask.hidden[Pillars(data, GRID).pillar_of]
    before = model(data, mask).predictions
    source = generator("other")
    other = torch.where(unseen[:, None], torch.rand(data.points.shape, generator=source), data.points)
    after = model(data._replace(points=other), mask).predictions
    assert all(torch.equal(after[name], before[name]) for name in before)
    seen = torch.where(unseen[:, None], data.points, data.points + 0.01)
    assert not torch.equal(model(data._replace(points=seen), mask).predictions["count"], before["count"])


def _visible() -> PillarEncoderConfig:
    return PillarEncoderConfig(GRID, 4, 8, 16, 2, 2, 24, 4, embed="visible")


def test_a_sweep_alone_is_as_in_a_batch() -> None:
    model, both = small().eval(), batch((0, 1))
    mask = model.draw_mask(both, [generator("mask", number) for number in range(2)])
    output = model(both, mask)
    alone = batch((1,))
    own = model.draw_mask(alone, [generator("mask", 1)])
    found = model(alone, own)
    count = int(own.counts)
    for name in ("chamfer", "count"):
        torch.testing.assert_close(found.predictions[name], output.predictions[name][-count:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.encode(alone), model.encode(both)[1:], rtol=1e-4, atol=1e-5)
    assert model.encode(both).shape == (2, 32)
    assert model.tokens(both).shape == (len(both.indices), 16)


def test_the_order_of_points_does_not_matter() -> None:
    model, points = small().eval(), sweep(0)
    one, other = (pillar_batch([pillarize(p, GRID)]) for p in (points, points[torch.randperm(len(points))]))
    mask = model.draw_mask(one, generator(0))
    torch.testing.assert_close(model(one, mask).loss, model(other, mask).loss, rtol=1e-4, atol=1e-5)


def test_reconstruction_is_in_metres_and_in_hidden_pillars() -> None:
    model, data = small().eval(), batch()
    mask = model.draw_mask(data, generator(0))
    made = model.reconstruct(data, mask)
    pillars = Pillars(data, GRID)
    unseen = mask.hidden[pillars.pillar_of]
    assert torch.equal(torch.cat(made.hidden), data.points[unseen][:, :3])
    assert torch.equal(torch.cat(made.visible), data.points[~unseen][:, :3])
    assert [len(part) for part in made.predicted] == (5 * mask.counts).tolist()
    inside = pillarize(F.pad(made.predicted[1], (0, 1)), GRID).indices
    hidden = data.indices[mask.hidden & (data.indices[:, 0] == 1)][:, 1:]
    assert torch.equal(inside, hidden)


def test_a_mask_without_empty_pillars_is_refused() -> None:
    model, data = small(), batch()
    with pytest.raises(ValueError, match="names no empty pillars"):
        model(data, Mask(torch.rand(len(data.indices)) < 0.5, data.offsets))
    none = PillarMask(torch.arange(len(data.indices)) % 2 == 0, data.offsets, torch.empty(0, 4, dtype=torch.int64))
    assert model(data, none).loss.isfinite()


def test_two_pillars_can_be_trained_on() -> None:
    points = torch.tensor([[0.5, 0.5, 0.0, 1.0], [1.5, 0.5, 0.0, 1.0]])
    model, data = small(), pillar_batch([pillarize(points, GRID)])
    output = model(data, model.draw_mask(data, generator(0)))
    output.loss.backward()
    assert output.loss.isfinite()


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model, data = small().eval(), batch()
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, HessVoxelMAE)
    assert loaded.config == SMALL
    assert torch.equal(loaded.encode(data), model.encode(data))
    with pytest.raises(UserError, match="holds a HessVoxelMAE, expected a GeoMAE"):
        GeoMAE.from_pretrained(tmp_path)


@pytest.mark.parametrize(("settings", "said"), [
    ({"mask_ratio": 1.0}, "mask_ratio 1.0"), ({"mask_ratio": 0.0}, "mask_ratio 0.0"), ({"points": 0}, "points 0"),
    ({"empty_ratio": -0.1}, "empty_ratio -0.1"), ({"decoder_depth": 0}, "decoder_depth 0"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HessVoxelMAEConfig(**settings)  # type: ignore[arg-type]


def test_losses_fall() -> None:
    model, data = small().train(), batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    seen: list[Tensor] = []
    for step in range(40):
        output = model(data, model.draw_mask(data, generator(step)))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        seen.append(torch.stack([output.parts[name] for name in ("chamfer", "count", "empty")]))
    first, last = (torch.stack(part).mean(0) for part in (seen[:5], seen[-5:]))
    assert (last < 0.9 * first).all()
