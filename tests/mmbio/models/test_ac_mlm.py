"""AC-MLM: the hardest mask of several, a step uphill of a stated length, a contrast of before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_mmbio import RECIPE, command, random_proteins, write_recipe

from core.losses import info_nce
from core.random import generator
from mmbio.config import ACMLMConfig, ACMLMRecipe, ESM2Config
from mmbio.models import load_model
from mmbio.models.ac_mlm import ACMLM, ascent, hardest
from mmbio.models.esm2 import ESM2
from mmbio.models.masked_lm import read_ids
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences, join


def model(**settings: float) -> ACMLM:
    torch.manual_seed(0)
    return ACMLM(ACMLMConfig(16, 1, 2, **settings)).train()  # type: ignore[arg-type]


def batch(count: int = 4) -> Sequences:
    return join([ESM.encode(text) for text in random_proteins(count)])


def generators(count: int = 4) -> list[torch.Generator]:
    return [generator(0, number) for number in range(count)]


def test_without_an_adversary_it_is_esm2() -> None:
    network, some = model(candidates=1, adversarial_weight=0, contrast_weight=0), batch()
    plain = ESM2(ESM2Config(16, 1, 2))
    plain.load_state_dict({n: t for n, t in network.state_dict().items() if not n.startswith("project.")})
    mask, expected = network.draw_mask(some, generators()), plain.draw_mask(some, generators())
    assert torch.equal(mask.hidden, expected.hidden)
    assert torch.equal(mask.written, expected.written)
    torch.testing.assert_close(network(some, mask).loss, plain(some, mask).loss)


def test_the_hardest_mask_is_taken_of_every_sequence() -> None:
    network, some = model(candidates=3), batch()
    mask = network.draw_mask(some, generators())
    draws = generators()
    each = [ESM2.draw_mask(network, some, draws) for _ in range(3)]
    losses = torch.stack([network.loss_of_sequences(some, one) for one in each])
    assert (network.loss_of_sequences(some, mask) == losses.amax(0)).all()
    assert len(losses.argmax(0).unique()) > 1
    again = network.draw_mask(some, generators())
    assert torch.equal(again.hidden, mask.hidden)
    assert torch.equal(again.written, mask.written)
    picked = hardest(some, each, torch.tensor([2, 0, 1, 1]))
    for number, choice in enumerate([2, 0, 1, 1]):
        rows = slice(int(some.offsets[number]), int(some.offsets[number + 1]))
        assert torch.equal(picked.hidden[rows], each[choice].hidden[rows])
        assert torch.equal(picked.write(some.ids)[rows], each[choice].write(some.ids)[rows])


def test_evaluation_has_no_adversary() -> None:
    """So that held-out perplexity is comparable with ESM-2's."""
    network, some = model(candidates=3), batch()
    network.eval()
    mask, first = network.draw_mask(some, generators()), ESM2.draw_mask(network, some, generators())
    assert torch.equal(mask.hidden, first.hidden)
    with torch.no_grad():
        output = network(some, mask)
    assert set(output.parts) == {"lm"}
    assert network.reconstruct(some, mask).ids.shape == mask.written.shape


def test_the_step_is_uphill_and_of_the_stated_length() -> None:
    network, some = model(radius=0.05), batch()
    mask = network.draw_mask(some, generators())
    x = network.encoder.embed(read_ids(some, mask)).detach().requires_grad_()
    lengths = some.lengths.tolist()

    def loss_at(at: torch.Tensor) -> torch.Tensor:
        latent = network.encoder.transformer(at, offsets=some.offsets)
        return torch.nn.functional.cross_entropy(network.lm_head(latent, some, mask), some.ids[mask.hidden])

    loss = loss_at(x)
    allowed = ~mask.hidden & network.own_tokens(some)
    step = ascent(loss, x, some, allowed, 0.05)
    assert not step[~allowed].any()
    for part, own in zip(step.split(lengths), x.split(lengths), strict=True):
        assert part.norm().item() == pytest.approx(0.05 * own.norm().item(), rel=1e-4)
    assert loss_at(x + step) > loss
    random = torch.randn_like(step) * allowed[:, None]
    random = random * (step.norm() / random.norm())
    assert loss_at(x + step) > loss_at(x + random)
    assert not ascent(loss_at(x) * 0, x, some, allowed, 0.05).isnan().any()


def test_the_sum_of_its_parts() -> None:
    network, some = model(adversarial_weight=0.5, contrast_weight=0.25), batch()
    mask = network.draw_mask(some, generators())
    output = network(some, mask)
    parts = output.parts
    expected = parts["lm"] + 0.5 * parts["adversarial"] + 0.25 * parts["contrast"]
    torch.testing.assert_close(output.loss.detach(), expected)
    assert parts["adversarial"] > parts["lm"]
    assert torch.equal(network(some, mask).loss, output.loss)
    output.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_without_a_change_the_contrast_is_that_of_equals() -> None:
    network, some = model(radius=0.0), batch()
    mask = network.draw_mask(some, generators())
    output = network(some, mask)
    torch.testing.assert_close(output.parts["adversarial"], output.parts["lm"])
    means = network.project(network.mean(output.latent, some))
    torch.testing.assert_close(output.parts["contrast"], info_nce(means, means, torch.arange(4), 0.1).detach())


def test_checkpointing_gives_the_same_gradients() -> None:
    grads = []
    for checkpointing in (False, True):
        network = model(checkpointing=checkpointing)
        network(batch(), network.draw_mask(batch(), generators())).loss.backward()
        grads.append([p.grad for p in network.parameters()])
    for plain, again in zip(*grads, strict=True):
        torch.testing.assert_close(plain, again)


def test_the_command(tmp_path: Path, proteins: str) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", {**RECIPE, "system": "ac_mlm"}, data=proteins, train={"epochs": 1})
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    first = (tmp_path / "run/metrics.jsonl").read_text().splitlines()[0]
    assert all(f"loss_{name}" in first for name in ("lm", "adversarial", "contrast"))
    assert isinstance(load_model(tmp_path / "run"), ACMLM)
    said = command("pretrain", recipe, "--run.strategy", "fsdp", "--out", tmp_path / "other")
    assert said.status == 2
    assert "run.strategy fsdp: the adversary takes gradients" in said.err
    assert ACMLMRecipe().run.strategy == "auto"
