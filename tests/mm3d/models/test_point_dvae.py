"""The dVAE of Point-BERT against arrays of the official implementation; schedules, noise and weights in both directions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from golden_arrays import Golden, assert_close, listed_shapes
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mm3d.config import CosineConfig, PointDVAEConfig
from mm3d.models.point_bert_official import convert, dvae_from_official, dvae_to_official, knows
from mm3d.models.point_dvae import PointDVAE

SMALL = PointDVAEConfig(
    groups=8,
    group_size=8,
    codes=16,
    dim=12,
    widths=(8, 8, 12),
    graph_widths=(8, 8, 8, 12, 16),
    coarse_width=16,
    fold_width=8,
)


def small() -> PointDVAE:
    torch.manual_seed(0)
    return PointDVAE(SMALL).eval()


def clouds(count: int = 3, seed: str = "clouds") -> Tensor:
    return torch.rand(count, 60, 3, generator=generator(seed)) * 2 - 1


def test_it_gives_the_official_numbers(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_bert_dvae.npz")
    assert knows(golden.state)
    config, weights = convert(golden.state, 6, 16, 16, "golden")
    assert config == PointDVAEConfig(groups=16, group_size=16, codes=64, dim=32)
    assert isinstance(config, PointDVAEConfig)
    temperature = float(golden["temperature"])
    config.temperature = CosineConfig(temperature, temperature)
    model = PointDVAE(config).eval()
    model.load_state_dict(weights)
    output = model(golden["points"], golden["gumbel_noise"])
    patches = model.inputs(golden["points"])
    assert torch.equal(patches.centers, golden["center"])
    assert_close(model.logits(patches), golden["logits"])
    assert torch.equal(output.ids, golden["ids"])
    assert torch.equal(model.ids(patches), golden["ids"])
    assert_close(output.decoded.coarse, golden["coarse_soft"])
    assert_close(output.decoded.fine, golden["fine_soft"])
    assert_close(output.parts["coarse"] + output.parts["fine"], golden["loss_recon"])
    assert_close(output.parts["uniform"], golden["loss_kl"])
    hard = model.decode_vectors(model.quantizer.decode(golden["ids"]), patches.centers)
    assert_close(hard.coarse, golden["coarse_hard"])
    assert_close(hard.fine, golden["fine_hard"])
    made = model.reconstruct(golden["points"])
    assert_close(made.decoded - made.centers.unsqueeze(2), golden["fine_hard"])


def test_the_published_size_and_its_names(shared: Path) -> None:
    with torch.device("meta"):
        model = PointDVAE(PointDVAEConfig())
    assert sum(p.numel() for p in model.parameters()) == 27_620_891
    expected = listed_shapes(shared / "golden" / "keys" / "keys_pointbert_dvae.txt")
    assert {name: tuple(t.shape) for name, t in dvae_to_official(model.state_dict()).items()} == expected
    back = dvae_from_official({name: torch.empty(shape, device="meta") for name, shape in expected.items()})
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in model.state_dict().items()}


def test_conversions_are_inverses() -> None:
    model = small()
    official = dvae_to_official(model.state_dict())
    config, weights = convert(official, 6, 8, 8, "a.pth")
    assert config == SMALL
    assert weights.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor), name
    again = dvae_to_official(weights)
    assert all(torch.equal(again[name], tensor) for name, tensor in official.items())
    with pytest.raises(UserError, match="give --group_size 8"):
        convert(official, 6, 8, 32, "a.pth")
    with pytest.raises(UserError, match=r"a.pth: extra.weight is not an entry of Point-BERT"):
        convert({**official, "extra.weight": torch.zeros(1)}, 6, 8, 8, "a.pth")
    del official["dgcnn_1.layer2.0.weight"]
    with pytest.raises(UserError, match=r"dgcnn_1.layer2.0.weight' is missing"):
        convert(official, 6, 8, 8, "a.pth")


@pytest.mark.parametrize("step", [0, 1, 9_999, 10_000, 60_000, 100_000, 110_000, 300_000])
def test_schedules_are_those_of_the_paper(step: int) -> None:
    model = small()
    model.after_step(step)
    cold = 0.0625 + (1 - 0.0625) * (1 + math.cos(math.pi * min(step, 100_000) / 100_000)) / 2
    late = min(max(step - 10_000, 0), 100_000)
    weight = 0.1 - 0.1 * (1 + math.cos(math.pi * late / 100_000)) / 2
    assert model.temperature == pytest.approx(cold, abs=1e-12)
    assert model.kl_weight == pytest.approx(weight, abs=1e-12)


def test_the_count_of_steps_is_saved_and_counts_in_the_loss(tmp_path: Path) -> None:
    model = small()
    noise = model.draw_noise(clouds(), generator("noise"))
    warm = model(clouds(), noise)
    assert warm.loss.item() == pytest.approx(float(warm.parts["coarse"] + warm.parts["fine"]))
    model.after_step(110_000)
    late = model(clouds(), noise)
    assert not torch.equal(warm.decoded.fine, late.decoded.fine)
    assert torch.equal(warm.parts["uniform"], late.parts["uniform"])
    parts = late.parts
    assert late.loss.item() == pytest.approx(float(parts["coarse"] + parts["fine"] + 0.1 * parts["uniform"]))
    model.save_pretrained(tmp_path)
    again = PointDVAE.from_pretrained(tmp_path)
    assert int(again.steps) == 110_000
    assert torch.equal(again(clouds(), noise).loss, late.loss)


def test_noise_is_given_and_one_a_sample() -> None:
    model = small()
    three = [generator("noise", index) for index in range(3)]
    noise = model.draw_noise(clouds(), three)
    assert noise.shape == (3, 8, 16)
    alone = model.draw_noise(clouds()[2:], [generator("noise", 2)])
    assert torch.equal(noise[2:], alone)
    a, b = model(clouds(), noise), model(clouds(), noise)
    assert torch.equal(a.loss, b.loss)
    assert not torch.equal(a.loss, model(clouds(), model.draw_noise(clouds(), generator("other"))).loss)
    assert torch.equal(a.ids, model(clouds()).ids)  # ids do not hear of the noise


def test_every_parameter_learns() -> None:
    model = small().train()
    model.after_step(50_000)
    model(clouds(), model.draw_noise(clouds(), generator("noise"))).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert float(model.quantizer.codebook.grad.abs().sum()) > 0  # type: ignore[union-attr]


def test_ids_of_a_cloud_do_not_hear_of_the_batch_nor_of_its_place() -> None:
    model = small()
    together = model.ids(model.inputs(clouds()))
    assert together.dtype == torch.int64
    for index in range(3):
        assert torch.equal(model.ids(model.inputs(clouds()[index : index + 1])), together[index : index + 1])
    # decoded points move with the cloud's patches: a mirrored cloud with mirrored weights is beyond it, order is not
    patches = model.inputs(clouds())
    turned = type(patches)(patches.neighborhoods.flip(1), patches.centers.flip(1))
    assert torch.equal(model.ids(turned), together.flip(1))


def test_features_and_reconstructions_have_their_shapes() -> None:
    model = small()
    assert model.encode(clouds()).shape == (3, 2 * (8 + 8 + 12 + 16))
    made = model.reconstruct(clouds())
    assert made.decoded.shape == made.given.shape == (3, 8, 8, 3)
    given = model.inputs(clouds())
    assert torch.equal(made.given, given.neighborhoods + given.centers.unsqueeze(2))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"codes": 10}, "codes 10: expected a multiple of 4"),
        ({"group_size": 30}, "group_size 30: expected a multiple of 4"),
        ({"neighbors": 65}, "neighbors 65: there are 64 patches"),
        ({"graph_widths": (8, 8, 9, 8, 8)}, "graph_widths 9: expected a multiple of 4"),
        ({"widths": (0, 1, 1)}, "widths"),
        ({"temperature": CosineConfig(1.0, 0.0)}, "temperature: expected start and end above 0"),
    ],
)
def test_bad_settings_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PointDVAEConfig(**wrong)
