"""Point-BERT against arrays of the official implementation, its weights in both directions, and what never changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from golden_arrays import Golden, assert_close, listed_shapes
from tiny_point_bert import DVAE, clouds, config, small
from torch import Tensor, nn

from core.errors import UserError
from core.masking import Mask
from core.random import generator
from core.training.config import OptimConfig
from core.training.optim import new_optimizer
from mm3d.config import PatchEncoderConfig, PointBERTConfig, PointClassifierConfig, PointDVAEConfig
from mm3d.masks import Mixing, PointBERTMask, Replacement, View
from mm3d.models.official import from_official, to_official
from mm3d.models.point_bert import PointBERT
from mm3d.models.point_bert_official import CLASSIFIER, PRETRAIN, convert, pretrain_from_official, pretrain_to_official
from mm3d.models.point_classifier import PointClassifier
from mm3d.models.point_dvae import PointDVAE


def official_model(golden: Golden, **changes: Any) -> PointBERT:
    found, weights = convert(golden.state, 3, 16, 16, "golden")
    assert isinstance(found, PointBERTConfig)
    for name, value in changes.items():
        setattr(found, name, value)
    model = PointBERT(found).eval()
    model.load_state_dict(weights)
    model.after_step(1)  # the official key network moves in the forward pass
    return model


def official_mask(golden: Golden, *hidden: Tensor, mixed: str, replaced: tuple[str, ...] = ()) -> PointBERTMask:
    """The masks of the three passes, and the draws with the names of their files."""
    share, draws = (golden[name] for name in (f"{mixed}_torch.rand", f"{_next(mixed)}_torch.rand"))
    views = []
    for index, mask in enumerate(map(Mask, hidden)):
        replacement = None
        if replaced:
            draw = golden[f"{replaced[index]}_torch.rand"]
            source = golden[f"{_next(replaced[index])}_torch.randperm"]
            replacement = Replacement((draw < 0.25) & ~mask.hidden, source)
        views.append(View(mask, replacement))
    return PointBERTMask(*views, mixing=Mixing(share, draws < share[:, None]))


def official_block(golden: Golden, at: str, first: int, centers: Tensor) -> Tensor:
    """The patches nearest to the drawn one, by the draws from a number on."""
    hidden = []
    for sample, center in enumerate(centers):
        seed = int(golden[f"{at}{first + 2 * sample:02d}_random.randint"])
        count = int(float(golden[f"{at}{first + 2 * sample + 1:02d}_random.uniform"]) * len(center))
        nearest = (center - center[seed]).norm(dim=-1).argsort()[:count]
        hidden.append(torch.zeros(len(center), dtype=torch.bool).index_fill(0, nearest, True))
    return torch.stack(hidden)


def _next(name: str) -> str:
    folder, _, number = name.rpartition("/")
    return f"{folder}/{int(number) + 1:02d}"


def test_pretraining_gives_the_official_numbers(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_bert_pretrain.npz")
    model = official_model(golden)
    hidden = [golden[f"mask/{name}"] for name in ("query_call/0", "query_call/1", "key_call/0")]
    mask = official_mask(golden, *hidden, mixed="draw/08")
    points = golden["input/points"]
    patches = model.tokenize(points)
    assert torch.equal(patches.centers, golden["out/group_divider/call0/1"])
    assert torch.equal(mask.mixing.share, golden["mixup/ratio"])
    assert torch.equal(mask.mixing(patches.centers), golden["mixup/center"])
    assert torch.equal(model.tokenizer.ids(patches), golden["eval/dvae_label"])
    assert torch.equal(mask.mixing(golden["eval/dvae_label"]), golden["mixup/label"])

    output = model(points, mask)
    latent = torch.cat([golden[f"out/transformer_q.norm/call{n}/0"] for n in (0, 1)])
    assert_close(output.latent, latent.roll(-1, 1))  # the class token stands last here
    assert_close(output.predictions["codes"], golden["out/transformer_q/call0/2"])
    assert_close(output.predictions["mixed_codes"], golden["out/transformer_q/call1/2"])
    assert_close(output.parts["codes"], golden["eval/loss_ce_first_pass"])
    assert_close(output.parts["mixed_codes"], golden["eval/loss_ce_mixed_pass"])
    assert_close(output.parts["mixed_contrast"], golden["eval/loss_cutmix_contrast"])
    assert_close(output.loss, golden["eval/loss_dvae_tokens"] + golden["eval/loss_cutmix_contrast"])
    output.loss.backward()
    learning = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    gradients = to_official(learning, PRETRAIN)  # type: ignore[arg-type]
    assert len(golden.under("grad/")) == 6
    for name, gradient in golden.under("grad/").items():
        assert_close(gradients[name], gradient)
    assert_close(model.encode_class(points), golden["eval_features/cls"])
    assert_close(model.key.module.encoder.position[0].weight, golden["after/transformer_k.pos_embed.0.weight"])  # type: ignore[union-attr,index]
    model.queue.push(model.key(patches, mask.key))
    assert_close(model.queue.keys.T, golden["after/queue"])
    assert int(model.queue.position) == int(golden["after/queue_ptr"])


def test_replacement_and_the_contrast_of_plain_clouds(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_bert_pretrain.npz")
    model = official_model(golden, replace=0.25, contrast=("mixed", "plain"))
    at = "replace_moco/draw/"
    centers = golden["out/group_divider/call0/1"]
    kept = golden[f"{at}11_torch.rand"] < golden[f"{at}10_torch.rand"][:, None]
    mixed = torch.where(kept.unsqueeze(-1), centers, centers.flip(0))
    hidden = [official_block(golden, at, first, c) for first, c in ((0, centers), (12, mixed), (22, centers))]
    mask = official_mask(golden, *hidden, mixed=f"{at}10", replaced=(f"{at}08", f"{at}20", f"{at}30"))
    output = model(golden["input/points"], mask)
    for number, (name, view) in enumerate((("codes", mask.plain), ("mixed_codes", mask.mixed))):
        assert torch.equal(view.scored.hidden, golden[f"replace_moco/out/transformer_q/call{number}/3"])
        assert_close(output.predictions[name], golden[f"replace_moco/out/transformer_q/call{number}/2"])
    parts = output.parts
    assert_close(
        parts["codes"] + parts["mixed_codes"] + parts["contrast"], golden["replace_moco/loss_moco_plus_tokens"]
    )
    assert_close(parts["mixed_contrast"], golden["replace_moco/loss_cutmix_contrast"])


def test_scattered_masks_and_the_loss_on_all_patches(shared: Path) -> None:
    golden = Golden(shared / "golden" / "point_bert_pretrain.npz")
    model = official_model(golden, mask="scattered", loss_on="all")
    at = "scattered_all/draw/"
    pairs = (("00", "01"), ("04", "05"), ("06", "07"))
    hidden = [
        golden[f"{at}{draw}_torch.rand"] < 0.2 * golden[f"{at}{ratio}_random.random"] + 0.25 for ratio, draw in pairs
    ]
    output = model(golden["input/points"], official_mask(golden, *hidden, mixed=f"{at}02"))
    for number, name in enumerate(("codes", "mixed_codes")):
        logits = golden[f"scattered_all/out/transformer_q/call{number}/1"]
        assert_close(output.predictions[name], logits.flatten(0, 1))
    assert_close(output.parts["codes"] + output.parts["mixed_codes"], golden["scattered_all/loss_tokens"])
    assert_close(output.parts["mixed_contrast"], golden["scattered_all/loss_cutmix_contrast"])


def test_the_published_sizes_and_their_names(shared: Path) -> None:
    with torch.device("meta"):
        model = PointBERT(PointBERTConfig())
        classifier = PointClassifier(
            PointClassifierConfig(
                PatchEncoderConfig(embed_dim=256), tuple(map(str, range(40))), head_layers=1, head_norm=False
            )
        )
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 25_472_896
    dead = 384 * 8192 + 8192  # the key network's head, which nothing reads
    assert sum(p.numel() for p in model.parameters()) + dead == 78_566_683
    assert sum(p.numel() for p in classifier.parameters()) == 22_065_960
    keys = shared / "golden" / "keys"
    expected = listed_shapes(keys / "keys_pointbert_pretrain.txt")
    ours = model.state_dict()
    assert {name: tuple(t.shape) for name, t in pretrain_to_official(ours).items()} == expected
    back = pretrain_from_official({name: torch.empty(shape, device="meta") for name, shape in expected.items()})
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in ours.items()}
    expected = listed_shapes(keys / "keys_pointbert_ft_mn40.txt")
    ours = classifier.state_dict()
    assert {name: tuple(t.shape) for name, t in to_official(ours, CLASSIFIER).items()} == expected
    back = from_official({name: torch.empty(shape, device="meta") for name, shape in expected.items()}, CLASSIFIER)
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in ours.items()}


def test_the_same_parameters_decay_as_officially() -> None:
    """Official rule: no decay for one dimension, for ``.bias`` and where the name holds ``token``."""
    model = small()
    decayed = {id(p) for p in new_optimizer(model, OptimConfig()).param_groups[0]["params"]}
    for name, p in model.named_parameters():
        if p.requires_grad:
            ((official, tensor),) = to_official({name: p}, PRETRAIN).items()
            assert (id(p) in decayed) == (
                tensor.ndim > 1 and not official.endswith(".bias") and "token" not in official
            ), name


def test_conversions_are_inverses() -> None:
    model = small()
    official = pretrain_to_official(model.state_dict())
    found, weights = convert(official, 3, 8, 8, "a.pth")
    assert isinstance(found, PointBERTConfig)
    assert found.encoder.embed_dim == 12
    assert found.tokenizer == DVAE
    assert weights.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor), name
    again = pretrain_to_official(weights)
    assert all(torch.equal(again[name], tensor) for name, tensor in official.items())
    classifier = PointClassifier(
        PointClassifierConfig(config().encoder, ("class 0", "class 1"), hidden=6, head_layers=1, head_norm=False)
    )
    official = to_official(classifier.state_dict(), CLASSIFIER)
    given, weights = convert(official, 3, 8, 8, "a.pth")
    assert isinstance(given, PointClassifierConfig)
    assert (given.classes, given.hidden, given.head_layers, given.head_norm) == (("class 0", "class 1"), 6, 1, False)
    PointClassifier(given).load_state_dict(weights)
    del official["norm.weight"]
    with pytest.raises(UserError, match=r"a.pth: entry 'norm.weight' is missing"):
        convert(official, 3, 8, 8, "a.pth")


def test_only_hidden_patches_are_hidden_from_the_encoder() -> None:
    model = small(contrast=())
    mask = model.draw_mask(clouds(), generator("mask"))
    patches = model.tokenize(clouds())
    changed = patches.neighborhoods.clone()
    changed[mask.plain.mask.hidden] = 7.0
    other = type(patches)(changed, patches.centers)
    query = model.query
    assert torch.equal(query.tokens(patches, mask.plain), query.tokens(other, mask.plain))
    changed[~mask.plain.mask.hidden] += 1.0
    assert not torch.equal(query.tokens(patches, mask.plain), query.tokens(other, mask.plain))


def test_embedding_only_visible_patches_changes_nothing_in_evaluation() -> None:
    every, visible = small(), small(embed="visible")
    mask = every.draw_mask(clouds(), generator("mask"))
    assert torch.allclose(every(clouds(), mask).loss, visible(clouds(), mask).loss, rtol=1e-5)
    with pytest.raises(ValueError, match=r"replace 0\.1: needs the embedding of all patches"):
        config(embed="visible", replace=0.1)


def test_one_pass_of_both_clouds_is_two_passes() -> None:
    """With batch statistics as well: the mini-PointNet embeds plain and mixed clouds apart."""
    model = small().train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mask = model.draw_mask(clouds(), generator("mask"))
    output = model(clouds(), mask)
    model.load_state_dict(state)
    model.train()
    patches, query = model.tokenize(clouds()), model.query
    plain = query.context(query.tokens(patches, mask.plain), patches.centers)
    mixed_patches = type(patches)(*(mask.mixing(t) for t in patches))
    mixed = query.context(query.tokens(mixed_patches, mask.mixed), mixed_patches.centers)
    assert torch.allclose(output.latent, torch.cat([plain, mixed]), atol=1e-5)


@pytest.mark.parametrize("statistics", ["batch", "stored"])
def test_the_tokenizer_never_changes(statistics: str) -> None:
    model = small(statistics=statistics).train()
    before = {name: tensor.clone() for name, tensor in model.tokenizer.state_dict().items()}
    optimizer = new_optimizer(model, OptimConfig(lr=0.1))
    for step in range(3):
        output = model(clouds(), model.draw_mask(clouds(), generator("mask", step)))
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.after_step(step + 1)
    for name, tensor in model.tokenizer.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not model.tokenizer.decoder.training
    ids = model.tokenizer.ids(model.tokenize(clouds()))
    alone = model.tokenizer.ids(model.tokenize(clouds()[:2]))
    assert (statistics == "stored") == torch.equal(ids[:2], alone)  # batch statistics hear of the batch
    model.eval()
    evaluated = model.tokenizer.ids(model.tokenize(clouds()))
    assert torch.equal(evaluated[:2], model.tokenizer.ids(model.tokenize(clouds()[:2])))


def test_it_starts_from_its_tokenizer() -> None:
    torch.manual_seed(1)
    tokenizer = PointDVAE(DVAE)
    for module in tokenizer.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()  # type: ignore[union-attr]
    model = small()
    model.start_from(tokenizer)
    for name, tensor in tokenizer.encoder.state_dict().items():
        assert torch.equal(model.encoder.embed.state_dict()[name], tensor)
    for (name, ours), theirs in zip(model.key.module.named_parameters(), model.query.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        assert not ours.requires_grad
    assert torch.equal(model.tokenizer.quantizer.codebook, tokenizer.quantizer.codebook)
    scratch = small(embed_from="scratch")
    scratch.start_from(tokenizer)
    assert not torch.equal(scratch.encoder.embed.out.weight, tokenizer.encoder.out.weight)
    with pytest.raises(ValueError, match="another configuration"):
        model.start_from(PointDVAE(PointDVAEConfig(**{**vars(DVAE), "codes": 20})))


def test_every_parameter_learns_and_the_key_network_follows() -> None:
    model = small(contrast=("mixed", "plain")).train()
    mask = model.draw_mask(clouds(), generator("mask"))
    queue = model.queue.keys.clone()
    model(clouds(), mask).loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
    assert int(model.queue.position) == 4
    assert not torch.equal(model.queue.keys[:4], queue[:4])
    assert torch.equal(model.queue.keys[4:], queue[4:])
    with torch.no_grad():
        model.special.cls_token += 1
    before = model.key.module.special.cls_token.clone()  # type: ignore[union-attr,operator]
    model.after_step(1)
    assert torch.allclose(model.key.module.special.cls_token, before + 0.001, atol=1e-6)  # type: ignore[union-attr,arg-type]
    model.eval()(clouds(), mask)
    assert int(model.queue.position) == 4  # it moves in training only


def test_without_contrast_there_is_no_key_network() -> None:
    model = small(contrast=())
    output = model(clouds(), model.draw_mask(clouds(), generator("mask")))
    assert set(output.parts) == {"codes", "mixed_codes"}
    assert not any(name.startswith(("key", "queue", "project")) for name in model.state_dict())
    model.after_step(1)
    assert model.encode(clouds()).shape == (4, 48)


def test_reconstructions_are_of_the_right_patches(tmp_path: Path) -> None:
    model = small()
    mask = model.draw_mask(clouds(), generator("mask"))
    made = model.reconstruct(clouds(), mask)
    patches = model.tokenize(clouds())
    whole = patches.neighborhoods + patches.centers.unsqueeze(2)
    hidden = mask.plain.mask.hidden
    assert torch.equal(made.visible.flatten(0, -3), whole[~hidden])
    assert torch.equal(made.hidden.flatten(0, -3), whole[hidden])
    for index in range(4):
        visible, predicted = made.of_cloud(index)
        assert torch.equal(visible, whole[index][~hidden[index]].flatten(0, 1))
        assert len(predicted) == int(hidden[index].sum()) * 8
    model.save_pretrained(tmp_path)
    again = PointBERT.from_pretrained(tmp_path)
    assert torch.equal(again(clouds(), mask).loss, model(clouds(), mask).loss)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mask_range": (0.5, 0.4)}, "mask_range"),
        ({"mask_range": (0.0, 0.4)}, "mask_range"),
        ({"momentum": 1.5}, "momentum 1.5"),
        ({"contrast_temperature": 0.0}, "contrast_temperature"),
        ({"queue": 0}, "queue 0"),
        ({"replace": 1.0}, "replace 1.0"),
    ],
)
def test_bad_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**wrong)


def test_the_tokenizer_has_to_fit() -> None:
    with pytest.raises(ValueError, match=r"encoder\.groups 64: the tokenizer has 8"):
        PointBERT(PointBERTConfig(PatchEncoderConfig(embed_dim=12), DVAE))
    with pytest.raises(ValueError, match=r"embed_from tokenizer: .* expected the same, or scratch"):
        PointBERT(PointBERTConfig(PatchEncoderConfig(groups=8, group_size=8), DVAE))
