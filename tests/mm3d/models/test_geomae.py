"""GeoMAE: its losses written out, the options where paper and code differ, masks, gradients, files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_pillars import ENCODER, GRID, batch, sweep
from torch import Tensor
from torch.nn import functional as F

from core.masking import count_hidden
from core.random import generator
from mm3d.config.pillars import GeoMAEConfig
from mm3d.data.pillar_samples import pillar_batch
from mm3d.layers.pillars import Pillars, pillarize
from mm3d.models import load_model
from mm3d.models.geomae import GeoMAE, centroid_error, normal_error, occupancy_error
from mm3d.pillars.geometry import part_centroids, surfaces

PARTS = ("centroid_low", "centroid_middle", "centroid_whole", "occupied_low", "occupied_middle", "normal")
SMALL = GeoMAEConfig(ENCODER, decoder_depth=1)
CURVED = GeoMAEConfig(ENCODER, decoder_depth=1, curvature_weight=2.0)


def small(config: GeoMAEConfig = SMALL) -> GeoMAE:
    torch.manual_seed(0)
    return GeoMAE(config)


def test_the_published_model() -> None:
    config = GeoMAEConfig()
    with torch.device("meta"):
        model = GeoMAE(config)
    layer = 3 * 128 * 128 + 3 * 128 + 128 * 128 + 128 + 2 * 128 * 256 + 256 + 128 + 4 * 128
    features = 10 * 64 + 2 * 64 + 128 * 128 + 2 * 128
    heads = 129 * (3 * 128 + 3 * 16 + 3 + 2 * 128 + 2 * 16 + 3)
    assert sum(p.numel() for p in model.parameters()) == 2 * (6 + 2 + 2) * layer + features + 128 + heads == 2_760_790
    assert config.encoder.grid.shape == (1, 400, 400)
    assert tuple(model.objectives) == PARTS


def test_forward_is_the_released_one_written_out() -> None:
    """Two decoders on the same tokens; six losses with their weights."""
    model, data = small().train(), batch()
    mask = model.draw_mask(data, generator(0))
    assert mask.counts.tolist() == [count_hidden(n, 0.7) for n in data.offsets.diff().tolist()]
    output = model(data, mask)
    pillars, inner = Pillars(data, GRID), model.encoder
    visible = inner.backbone.transformer(inner.backbone.embed(pillars)[~mask.hidden], data.indices[~mask.hidden])
    tokens = inner.mask_token.repeat(len(data.indices), 1)
    tokens[~mask.hidden] = visible
    decoded = {name: decoder(tokens, data.indices)[mask.hidden] for name, decoder in inner.decoders.items()}
    heads = {name: objective.head.linear for name, objective in model.objectives.items()}  # type: ignore[union-attr]

    total = torch.tensor(0.0)
    for name, divisions, weight in (("low", (4, 4, 8), 10), ("middle", (2, 2, 4), 8), ("whole", (1, 1, 1), 10)):
        true = part_centroids(pillars, divisions)[mask.hidden]  # type: ignore[arg-type]
        made = heads[f"centroid_{name}"](decoded["centroids"]).view(*true.shape[:2], 3)  # type: ignore[operator]
        held = true[..., 3] == 1
        error = ((made - true[..., :3]) ** 2).mean(-1)[held].mean()
        torch.testing.assert_close(output.parts[f"centroid_{name}"], error.detach())
        total = total + weight * error
        if name == "whole":
            continue
        logits = heads[f"occupied_{name}"](decoded["centroids"]).view(*true.shape[:2], 2)  # type: ignore[operator]
        both = F.one_hot(held.long(), 2)  # the sigmoid loss of two classes: (empty, held)
        error = -(both * logits.sigmoid().log() + (1 - both) * (1 - logits.sigmoid()).log()).mean()
        torch.testing.assert_close(output.parts[f"occupied_{name}"], error.detach())
        total = total + {"low": 5, "middle": 2}[name] * error
    found = surfaces(pillars, (2, 2, 4))
    normal = heads["normal"](decoded["surface"])  # type: ignore[operator]
    error = ((normal - found.normal[mask.hidden]) ** 2).mean(1)[found.known[mask.hidden]].mean()
    torch.testing.assert_close(output.parts["normal"], error.detach())
    torch.testing.assert_close(output.loss, total + 4 * error)


def test_curvature_is_an_option() -> None:
    model, data = small(CURVED), batch()
    assert tuple(model.objectives) == (*PARTS, "curvature")
    mask = model.draw_mask(data, generator(0))
    output = model(data, mask)
    true = surfaces(model.tokenize(data), (2, 2, 4)).curvature[mask.hidden]
    expected = F.mse_loss(output.predictions["curvature"], true)
    torch.testing.assert_close(output.parts["curvature"], expected.detach())
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in small().parameters()) + 3 * 17


def test_losses_of_single_terms() -> None:
    target = torch.tensor([[[0.5, 0.5, 0.5, 1.0], [0, 0, 0, 0]]])
    assert centroid_error(torch.tensor([[[0.5, 0.5, 0.5], [9.0, 9.0, 9.0]]]), target) == 0
    torch.testing.assert_close(centroid_error(torch.zeros(1, 2, 3), target), torch.tensor(0.25))
    torch.testing.assert_close(occupancy_error(torch.zeros(1, 2, 2), target), torch.tensor(2.0).log())
    sure = torch.tensor([[[-20.0, 20.0], [20.0, -20.0]]])
    assert occupancy_error(sure, target) < 1e-6
    normal = torch.tensor([[0.0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]])
    opposite = torch.tensor([[0.0, 0, -1], [1, 0, 0], [5, 5, 5]])
    torch.testing.assert_close(normal_error(opposite, normal, either=False), torch.tensor(2 / 3))
    assert normal_error(opposite, normal, either=True) == 0
    assert normal_error(opposite, torch.zeros(3, 4), either=False) == 0  # none has a normal


@pytest.mark.parametrize("config", [SMALL, CURVED, GeoMAEConfig(ENCODER, 1, normal_sign="either")])
def test_every_parameter_learns_and_a_mask_replays(config: GeoMAEConfig) -> None:
    model, data = small(config), batch()
    mask = model.draw_mask(data, generator(0))
    first, second = model(data, mask), model(data, mask)
    assert torch.equal(first.loss, second.loss)
    assert torch.equal(model.draw_mask(data, generator(0)).hidden, mask.hidden)
    first.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_sweep_alone_is_as_in_a_batch() -> None:
    model, both = small(CURVED).eval(), batch((0, 1))
    mask = model.draw_mask(both, [generator("mask", number) for number in range(2)])
    output, alone = model(both, mask), batch((1,))
    found = model(alone, model.draw_mask(alone, [generator("mask", 1)]))
    count = int(found.mask.counts)
    for name in (*PARTS, "curvature"):
        torch.testing.assert_close(found.predictions[name], output.predictions[name][-count:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.targets[name], output.targets[name][-count:], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.encode(alone), model.encode(both)[1:], rtol=1e-4, atol=1e-5)
    assert model.tokens(both).shape == (len(both.indices), 16)


def test_the_order_of_points_does_not_matter() -> None:
    model, points = small().eval(), sweep(0)
    one, other = (pillar_batch([pillarize(p, GRID)]) for p in (points, points[torch.randperm(len(points))]))
    mask = model.draw_mask(one, generator(0))
    torch.testing.assert_close(model(one, mask).loss, model(other, mask).loss, rtol=1e-3, atol=1e-4)


def test_hidden_points_are_not_seen() -> None:
    model, data = small().eval(), batch()
    mask = model.draw_mask(data, generator(0))
    unseen = mask.hidden[Pillars(data, GRID).pillar_of]
    before = model(data, mask).predictions
    other = data.points.clone()
    other[unseen] = 0.5
    after = model(data._replace(points=other), mask).predictions
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_reconstruction_shows_the_most_probable_sub_voxels() -> None:
    """As many of each sweep as hold points; none that was left out is more probable than one that was taken."""
    model, data = small().eval(), batch()
    mask = model.draw_mask(data, generator(0))
    made, output = model.reconstruct(data, mask), model(data, mask)
    sizes = mask.counts.tolist()
    held = output.targets["occupied_low"][..., 3].split(sizes)
    assert [len(part) for part in made.predicted] == [int(part.sum()) for part in held]
    for number, logits in enumerate(output.predictions["occupied_low"].split(sizes)):
        inside = pillarize(F.pad(made.predicted[number], (0, 1)), GRID).indices
        hidden = data.indices[mask.hidden & (data.indices[:, 0] == number)][:, 1:]
        margin = logits[..., 1] - logits[..., 0]
        least = margin.flatten().topk(len(made.predicted[number])).values[-1]
        expected = {tuple(i) for i in hidden[(margin >= least).any(1)].tolist()}
        found = {tuple(i) for i in inside.tolist()}
        assert found <= expected | _beside(expected)
        assert len(found) >= len(expected) / 2


def _beside(cells: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Cells that a point on the upper face of one of these is in."""
    return {(z, y + dy, x + dx) for z, y, x in cells for dy in (0, 1) for dx in (0, 1)}


def test_two_pillars_can_be_trained_on() -> None:
    points = torch.tensor([[0.5, 0.5, 0.0, 1.0], [1.5, 0.5, 0.0, 1.0]])
    model, data = small(CURVED), pillar_batch([pillarize(points, GRID)])
    output = model(data, model.draw_mask(data, generator(0)))
    output.loss.backward()
    assert output.loss.isfinite()
    assert output.parts["normal"] == 0  # no surface through two points


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model, data = small(CURVED).eval(), batch()
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, GeoMAE)
    assert loaded.config == CURVED
    assert torch.equal(loaded.encode(data), model.encode(data))


@pytest.mark.parametrize(("settings", "said"), [
    ({"mask_ratio": 1.0}, "mask_ratio 1.0"), ({"low": (0, 4, 8)}, "low"), ({"curvature_weight": -1.0}, "curvature_weight"),
    ({"centroid_weights": (1.0, -1.0, 1.0)}, "centroid_weights"), ({"decoder_depth": 0}, "decoder_depth"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GeoMAEConfig(**settings)  # type: ignore[arg-type]


def test_losses_fall() -> None:
    model, data = small(CURVED).train(), batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    seen: list[Tensor] = []
    for step in range(40):
        output = model(data, model.draw_mask(data, generator(step)))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        seen.append(torch.stack([output.parts[name] for name in (*PARTS, "curvature")]))
    first, last = (torch.stack(part).mean(0) for part in (seen[:5], seen[-5:]))
    assert (last < first).all()
