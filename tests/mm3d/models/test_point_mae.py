"""Point-MAE against arrays of the official implementation, its weights in both directions, and its symmetries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.masking import Mask
from core.random import generator
from core.training.config import OptimConfig
from core.training.optim import new_optimizer
from mm3d.config import PatchEncoderConfig, PointClassifierConfig, PointMAEConfig
from mm3d.layers.patches import Patches
from mm3d.models.official import from_official, state_dict_of, to_official
from mm3d.models.point_classifier import PointClassifier
from mm3d.models.point_mae import PointMAE
from mm3d.models.point_mae_official import CLASSIFIER, PRETRAIN, config_of
from mm3d.ops import chamfer_l2

SMALL = PatchEncoderConfig(groups=16, group_size=16, dim=48, depth=2, heads=3, drop_path=0.1)


def small(**encoder: object) -> PointMAE:
    torch.manual_seed(0)
    model = PointMAE(PointMAEConfig(PatchEncoderConfig(**{**vars(SMALL), **encoder}), 1, 3))  # type: ignore[arg-type]
    for module in model.modules():  # statistics that are not those of a fresh model
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean += 0.1 * torch.randn_like(module.running_mean)
            module.running_var += torch.rand_like(module.running_var)
    return model.eval()


def clouds(count: int = 3) -> Tensor:
    return torch.rand(count, 100, 3, generator=generator("clouds")) * 2 - 1


class Golden:
    """Arrays and weights of one golden file."""

    def __init__(self, path: Path) -> None:
        self.arrays = {name: torch.from_numpy(array) for name, array in np.load(path, allow_pickle=False).items()}
        self.state = {n.removeprefix("weight/"): t for n, t in self.arrays.items() if n.startswith("weight/")}

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def gradients(self) -> dict[str, Tensor]:
        return {n.removeprefix("grad/"): t for n, t in self.arrays.items() if n.startswith("grad/")}


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    """Within ``tolerance`` of the largest entry."""
    assert ours.shape == theirs.shape
    assert float(((ours - theirs).abs().max() / theirs.abs().max()).detach()) < tolerance


def assert_same_patches(patches: Patches, golden: Golden) -> None:
    """Centres in order; neighbours as sets."""

    def ordered(points: Tensor) -> Tensor:
        rows = [patch[np.lexsort(patch.numpy().T)] for cloud in points for patch in cloud]
        return torch.stack(rows)

    assert torch.equal(patches.centers, golden["out/group_divider/1"])
    assert_close(ordered(patches.neighborhoods), ordered(golden["out/group_divider/0"]), 1e-6)


def assert_gradients(model: nn.Module, golden: Golden, names: dict[str, str]) -> None:
    ours = to_official({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, names)
    assert golden.gradients()
    for name, gradient in golden.gradients().items():
        assert_close(ours[name], gradient, 1e-4)


def test_pretraining_gives_the_official_numbers(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_mae_pretrain.npz")
    config = config_of(golden.state, heads=3, groups=16, group_size=16, source="golden")
    assert config == PointMAEConfig(PatchEncoderConfig(groups=16, group_size=16, dim=48, depth=2, heads=3), 1, 3)
    model = PointMAE(config).eval()  # type: ignore[arg-type]
    model.load_state_dict(from_official(golden.state, PRETRAIN))
    decoded: list[Tensor] = []
    decoder = model.objectives["chamfer"].head.transformer  # type: ignore[union-attr]
    decoder.register_forward_hook(lambda module, inputs, output: decoded.append(output))  # type: ignore[union-attr]
    mask = Mask(golden["out/MAE_encoder/1"])
    assert mask.counts.tolist() == [9] * 4
    output = model(golden["points"], mask)
    assert_same_patches(model.tokenize(golden["points"]), golden)
    assert_close(output.latent, golden["out/MAE_encoder/0"])
    assert_close(decoded[0][:, -9:], golden["out/MAE_decoder/0"])
    predicted = golden["out/increase_dim/0"].transpose(1, 2).reshape(36, 16, 3)
    assert_close(output.predictions["chamfer"], predicted)
    assert_close(output.loss, golden["eval/0"])
    assert torch.equal(output.parts["chamfer"], output.loss.detach())
    output.loss.backward()
    assert_gradients(model, golden, PRETRAIN)


def test_the_classifier_gives_the_official_numbers(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_mae_classifier.npz")
    config = config_of(golden.state, heads=3, groups=16, group_size=16, source="golden")
    assert isinstance(config, PointClassifierConfig)
    assert len(config.classes) == 10
    model = PointClassifier(config).eval()
    model.load_state_dict(from_official(golden.state, CLASSIFIER))
    assert_same_patches(model.encoder.patchify(golden["points"]), golden)
    assert_close(model.tokens(golden["points"]), golden["out/norm/0"])
    logits = model(golden["points"])
    assert_close(logits, golden["eval/0"])
    logits.sum().backward()
    assert_gradients(model, golden, CLASSIFIER)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def published() -> list[tuple[nn.Module, dict[str, str], str, int]]:
    with torch.device("meta"):
        return [
            (PointMAE(PointMAEConfig()), PRETRAIN, "keys_pointmae_pretrain.txt", 29_006_432),
            (PointClassifier(PointClassifierConfig(classes=tuple(map(str, range(40))))), CLASSIFIER,
             "keys_pointmae_ft_mn40.txt", 22_099_752),
        ]  # fmt: skip


def test_the_published_sizes() -> None:
    for model, _, _, count in published():
        assert parameters(model) == count


@pytest.mark.parametrize("which", [0, 1], ids=["pretrain", "classifier"])
def test_names_and_shapes_of_the_official_state_dict(shared: Path, which: int) -> None:
    model, names, file, _ = published()[which]
    lines = (shared / "golden" / "keys" / file).read_text().splitlines()
    expected = {}
    for key, shape, dtype in (line.split("\t") for line in lines if line.strip()):
        expected[key] = (tuple(int(n) for n in shape.strip("()").split(",") if n.strip()), f"torch.{dtype}")
    official = to_official(model.state_dict(), names)
    assert {name: (tuple(t.shape), str(t.dtype)) for name, t in official.items()} == expected
    back = from_official({n: torch.empty(s, device="meta") for n, (s, _) in expected.items()}, names)
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in model.state_dict().items()}


@pytest.mark.parametrize("which", [0, 1], ids=["pretrain", "classifier"])
def test_conversions_are_inverses(which: int) -> None:
    torch.manual_seed(0)
    model: nn.Module = PointMAE(PointMAEConfig(SMALL, 1, 3))
    names = (PRETRAIN, CLASSIFIER)[which]
    if which:
        model = PointClassifier(PointClassifierConfig(SMALL, ("a", "b")))
    ours = model.state_dict()
    official = to_official(ours, names)
    assert len(official) == len(ours)
    again = from_official(official, names)
    assert list(again) == list(ours)
    for name, tensor in again.items():
        assert torch.equal(tensor, ours[name]), name
        assert tensor.shape == ours[name].shape
    twice = to_official(again, names)
    assert all(torch.equal(twice[name], tensor) for name, tensor in official.items())
    assert twice.keys() == official.keys()


def test_the_same_parameters_decay_as_officially(shared: Path) -> None:
    """Official rule: no decay for one dimension, for ``.bias`` and where the name holds ``token``."""
    for model, names, _, _ in published():
        decayed = {id(p) for p in new_optimizer(model, OptimConfig()).param_groups[0]["params"]}
        for name, p in model.named_parameters():
            ((official, tensor),) = to_official({name: p}, names).items()
            assert (id(p) in decayed) == (
                tensor.ndim > 1 and not official.endswith(".bias") and "token" not in official
            ), name


def test_official_checkpoints_are_unwrapped() -> None:
    state = to_official(PointMAE(PointMAEConfig(SMALL, 1, 3)).state_dict(), PRETRAIN)
    wrapped = {"base_model": {f"module.{name}": t for name, t in state.items()}, "epoch": 300, "metrics": {}}
    assert state_dict_of(wrapped, "a.pth").keys() == state.keys()
    assert state_dict_of(state, "a.pth").keys() == state.keys()  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"a.pth: not a Point-MAE checkpoint"):
        state_dict_of({"base_model": {"conv.weight": torch.zeros(1)}}, "a.pth")
    with pytest.raises(UserError, match=r"a.pth: no state dict"):
        state_dict_of({"epoch": 3}, "a.pth")
    with pytest.raises(UserError, match=r"a.pth: extra.weight is not an entry of Point-MAE"):
        from_official({**state, "extra.weight": torch.zeros(1)}, PRETRAIN, "a.pth")
    with pytest.raises(UserError, match="give --group_size 16"):
        config_of(state, 3, 16, 32, "a.pth")
    del state["MAE_encoder.norm.weight"]
    with pytest.raises(UserError, match=r"MAE_encoder.norm.weight.* is missing"):
        config_of(state, 3, 16, 16, "a.pth")


def test_embedding_only_visible_patches_changes_nothing_in_evaluation() -> None:
    every, visible = small(embed="all"), small(embed="visible")
    assert all(
        torch.equal(a, b) for a, b in zip(every.state_dict().values(), visible.state_dict().values(), strict=True)
    )
    mask = every.draw_mask(clouds(), generator(0))
    a, b = every(clouds(), mask), visible(clouds(), mask)
    assert torch.allclose(a.latent, b.latent, atol=1e-6)
    assert torch.allclose(a.loss, b.loss, rtol=1e-6)
    every.train()
    visible.train()
    first, second = (m.encoder(m.tokenize(clouds()), mask) for m in (every, visible))
    assert not torch.allclose(first, second, atol=1e-4)  # batch statistics see other patches


def test_the_order_of_points_within_a_patch_does_not_matter() -> None:
    model = small()
    patches = model.tokenize(clouds())
    order = torch.randperm(16, generator=generator(1))
    shuffled = Patches(patches.neighborhoods[:, :, order], patches.centers)
    mask = model.draw_mask(clouds(), generator(0))
    assert torch.allclose(model.encoder(patches, mask), model.encoder(shuffled, mask), atol=1e-6)
    head, target = model.objectives["chamfer"].head, model.objectives["chamfer"].target  # type: ignore[union-attr]
    latent = model.encoder(patches, mask)
    losses = [chamfer_l2(head(latent, p, mask), target(p, mask)) for p in (patches, shuffled)]  # type: ignore[operator]
    assert torch.allclose(losses[0], losses[1], rtol=1e-6)


def test_samples_do_not_see_each_other() -> None:
    model, points = small(), clouds(4)
    assert torch.allclose(model.encode(points)[1:2], model.encode(points[1:2]), atol=1e-5)


def test_features() -> None:
    model = small()
    features = model.encode(clouds())
    tokens = model.encoder(model.tokenize(clouds()))
    assert features.shape == (3, 96)
    assert torch.equal(features, torch.cat([tokens.amax(1), tokens.mean(1)], 1))


def test_hidden_patches_do_not_leak_into_the_latent() -> None:
    """What is hidden may change without the encoder noticing."""
    model = small()
    patches, mask = model.tokenize(clouds()), model.draw_mask(clouds(), generator(0))
    hidden = mask.hidden[..., None, None]
    changed = Patches(
        torch.where(hidden, patches.neighborhoods + 1, patches.neighborhoods),
        torch.where(mask.hidden[..., None], patches.centers - 1, patches.centers),
    )
    assert torch.equal(model.encoder(patches, mask), model.encoder(changed, mask))


@pytest.mark.parametrize("kind", ["random", "block"])
def test_a_mask_given_twice_gives_the_same_loss(kind: str) -> None:
    model = small()
    model.config.mask = kind  # type: ignore[assignment]
    mask = model.draw_mask(clouds(), [generator(i) for i in range(3)])
    assert mask.counts.tolist() == [9] * 3
    assert torch.equal(model(clouds(), mask).loss, model(clouds(), mask).loss)
    again = model.draw_mask(clouds(), [generator(i) for i in range(3)])
    assert torch.equal(mask.hidden, again.hidden)
    torch.manual_seed(0)
    first = model(clouds())
    assert torch.equal(model(clouds(), first.mask).loss, first.loss)
    torch.manual_seed(0)
    assert torch.equal(model(clouds()).loss, first.loss)
    assert not torch.equal(model(clouds()).loss, first.loss)


def test_reconstructions_are_in_the_coordinates_of_the_input() -> None:
    model, points = small(), clouds()
    before = points.clone()
    mask = model.draw_mask(points, generator(0))
    made = model.reconstruct(points, mask)
    assert torch.equal(points, before)
    assert made.visible.shape == (3, 7, 16, 3)
    assert made.hidden.shape == made.predicted.shape == (3, 9, 16, 3)
    for cloud, seen, hidden in zip(points, made.visible, made.hidden, strict=True):
        for part in (seen, hidden):
            nearest = (part.reshape(-1, 1, 3) - cloud).norm(dim=-1).amin(1)
            assert float(nearest.max()) < 1e-6
    patches = model.tokenize(points)
    whole = patches.neighborhoods + patches.centers.unsqueeze(2)
    assert torch.equal(mask.merge(made.visible.flatten(2), made.hidden.flatten(2)).view_as(whole), whole)
    centers = mask.select_hidden(patches.centers).unsqueeze(2)
    local = (made.predicted - centers).flatten(0, 1), (made.hidden - centers).flatten(0, 1)
    assert torch.allclose(chamfer_l2(*local), model(points, mask).loss, rtol=1e-4)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = small().train()
    model(clouds(), model.draw_mask(clouds(), generator(0))).loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
    still = [name for name, p in model.named_parameters() if p.grad is not None and not p.grad.any()]
    assert not still


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = small(groups=12, embed="visible")
    model.save_pretrained(tmp_path)
    again = PointMAE.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again.encode(clouds()), model.encode(clouds()))
    with pytest.raises(UserError, match="holds a PointMAE, expected a PointClassifier"):
        PointClassifier.from_pretrained(tmp_path)


def test_clouds_that_are_too_small() -> None:
    with pytest.raises(ValueError, match="10 points are fewer than 16 patches of 16 points need"):
        small()(torch.rand(2, 10, 3))
    with pytest.raises(ValueError, match="points are"):
        small()(torch.rand(2, 100, 4))
