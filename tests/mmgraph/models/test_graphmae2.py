"""GraphMAE2 against the official formulae (graphmae2_reference.py), and everything around them."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Literal

import pytest
import torch
from graphmae2_reference import Reference, official_weights
from torch import Tensor

from core.cli.app import run
from core.errors import UserError
from core.random import generator
from core.training.config import OptimConfig, RunConfig, TrainConfig
from mmgraph.cli import ABOUT, COMMANDS
from mmgraph.config import GraphEncoderConfig, GraphMAE2Config, GraphMAE2Recipe
from mmgraph.graph import Graphs, join
from mmgraph.models import load_model
from mmgraph.models.graphmae2 import GraphMAE2
from mmgraph.models.graphmae2_official import from_official
from mmgraph.pretrain import pretrain
from mmgraph.remasks import RemaskedNodes, remask_nodes

FIXED = GraphMAE2Config(
    5, GraphEncoderConfig("gat", 8, 2, 2, 0.0, 0.0), gamma=3, latent_weight=0.3, momentum=0.9, projector_dim=3
)
RANDOM = GraphMAE2Config(
    9,
    GraphEncoderConfig("gat", 8, 3, 4, 0.0, 0.0, norm="layernorm", residual=True, residual_at="projected"),
    gamma=2,
    remask="random",
    views=3,
    drop_edge=0.4,
    latent_weight=2.0,
    momentum=0.7,
    projector_dim=3,
    init="xavier",
)
CASES = pytest.mark.parametrize("config", [FIXED, RANDOM], ids=["fixed", "random"])


def graph(width: int, roots: bool = False) -> Graphs:
    """Two graphs with lonely nodes, self-loops and edges in one direction only."""
    source = torch.Generator().manual_seed(0)
    edges = torch.randint(8, (2, 30), generator=source).unique(dim=1)
    one = Graphs(torch.randn(10, width, generator=source), edges, roots=torch.tensor([0, 3]) if roots else None)
    return join([one, one])


def pair(config: GraphMAE2Config) -> tuple[GraphMAE2, Reference]:
    weights = official_weights(config)
    model = GraphMAE2(config).double()
    model.load_state_dict(from_official(weights, config))
    return model, Reference(config, weights)


def doubled(graphs: Graphs) -> Graphs:
    return Graphs(graphs.x.double(), graphs.edge_index, graphs.offsets, roots=graphs.roots)


@CASES
@pytest.mark.parametrize("roots", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_parity_with_the_official_formulae(
    config: GraphMAE2Config, roots: bool, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmgraph.graph.SPARSE", 2.0 if sparse else -1.0)
    model, reference = pair(config)
    graphs = doubled(graph(config.width, roots))
    before = graphs.x.clone()
    mask = model.draw_mask(graphs, generator(3))
    output = model(graphs, mask)
    rec, latent = reference.loss(graphs, mask)
    views = 3 if config.remask == "random" else 1
    torch.testing.assert_close(views * output.parts["sce"], rec.detach(), rtol=1e-9, atol=0)
    torch.testing.assert_close(output.parts["latent"], latent.detach(), rtol=1e-9, atol=0)
    total = rec + config.latent_weight * latent
    torch.testing.assert_close(output.loss.detach(), total.detach(), rtol=1e-9, atol=0)
    output.loss.backward()
    total.backward()
    gradients = {name: w.grad for name, w in reference.weights.items() if w.grad is not None}
    theirs = from_official(gradients, config)
    ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-6, atol=1e-9, msg=name)
    assert torch.equal(graphs.x, before)


@CASES
def test_the_teacher_is_the_official_one_after_several_steps(config: GraphMAE2Config) -> None:
    """The official teacher moves in the forward pass, after its own targets and before the optimiser's step."""
    model, reference = pair(config)
    graphs = doubled(graph(config.width))
    ours = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    theirs = torch.optim.Adam([p for p in reference.weights.values() if p.requires_grad], lr=0.05)
    before_step = model.train().teacher_follows(steps_per_epoch=2)
    for step in range(1, 6):
        mask = model.draw_mask(graphs, generator(step))
        rec, latent = reference.loss(graphs, mask)
        reference.move()
        output = model(graphs, mask)
        torch.testing.assert_close(output.parts["latent"], latent.detach(), rtol=1e-7, atol=0)
        for optimizer, loss in ((theirs, rec + config.latent_weight * latent), (ours, output.loss)):
            optimizer.zero_grad()
            loss.backward()
            if optimizer is ours:
                before_step(step)
            optimizer.step()
    expected = from_official({name: w.detach() for name, w in reference.weights.items()}, config)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-8, msg=name)


def tiny(epochs: int, **model: object) -> GraphMAE2Recipe:
    config = GraphMAE2Config(64, GraphEncoderConfig("gat", 8, 2, 2), projector_dim=4, **model)  # type: ignore[arg-type]
    optim = OptimConfig(algorithm="adam", lr=0.01, schedule="constant", weight_decay=0.0, warmup_epochs=0)
    return GraphMAE2Recipe(model=config, optim=optim, train=TrainConfig(epochs, 1), run=RunConfig(accelerator="cpu"))


def halves(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Encoder of the student and of the teacher of a run."""
    model = load_model(folder)
    return model.encoder.encoder.state_dict(), model.objectives["latent"].target.module.encoder.state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_in_a_training_the_teacher_is_one_step_behind(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        pretrain(tiny(epochs), tmp_path / str(epochs))
    runs = {epochs: halves(tmp_path / str(epochs)) for epochs in (1, 2, 3)}
    for epochs in (2, 3):
        assert same(runs[epochs][1], runs[epochs - 1][0])
        assert not same(runs[epochs][0], runs[epochs][1])
    pretrain(tiny(3, teacher_delay=2), tmp_path / "late")  # nothing before the third epoch
    pretrain(tiny(3, teacher_delay=3), tmp_path / "never")
    pretrain(tiny(2, momentum=1.0), tmp_path / "still")
    late, never, still = (halves(tmp_path / name)[1] for name in ("late", "never", "still"))
    assert not same(late, never)
    assert same(never, still)  # as it was made
    assert same(never, runs[1][1])


def test_the_teacher_drops_out_and_is_not_trained() -> None:
    torch.manual_seed(0)
    model = GraphMAE2(GraphMAE2Config(5, GraphEncoderConfig("gat", 8, 2, 2, 0.5, 0.0))).train()
    graphs = graph(5)
    mask = model.draw_mask(graphs, generator(0))
    first, second = (model(graphs, mask) for _ in range(2))
    assert not torch.equal(first.targets["latent"], second.targets["latent"])
    first.loss.backward()
    teacher = model.objectives["latent"].target
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    model.eval()
    assert torch.equal(model(graphs, mask).targets["latent"], model(graphs, mask).targets["latent"])


@CASES
def test_no_prediction_sees_its_own_hidden_features(config: GraphMAE2Config) -> None:
    model = GraphMAE2(config)
    graphs = graph(config.width)
    mask = model.draw_mask(graphs, generator(1))
    graphs.x.requires_grad_()
    output = model.eval()(graphs, mask)
    for name in ("sce", "latent"):
        (gradient,) = torch.autograd.grad(output.predictions[name].square().sum(), graphs.x, retain_graph=True)
        assert not gradient[mask.hidden].any()
        assert gradient[~mask.hidden].any()
    assert not output.targets["latent"].requires_grad


@CASES
def test_nodes_in_another_order(config: GraphMAE2Config) -> None:
    """A mask that moves with its nodes gives the same loss; what was drawn can be replayed."""
    torch.manual_seed(0)
    model, graphs = GraphMAE2(config).eval(), graph(config.width)
    mask = model.draw_mask(graphs, generator(4))
    loss = model(graphs, mask).loss
    assert torch.equal(loss, model(graphs, model.draw_mask(graphs, generator(4))).loss)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    back = order.argsort()
    moved = Graphs(graphs.x[order], back[graphs.edge_index])
    nodes = copy.copy(mask)
    nodes.hidden, nodes.offsets, nodes.token = mask.hidden[order], moved.offsets, back[mask.token]
    remasked = None if mask.remasked is None else mask.remasked[:, order]
    torch.testing.assert_close(model(moved, RemaskedNodes(nodes, mask.teacher_kept, remasked)).loss, loss)
    torch.testing.assert_close(model.encode(moved), model.encode(graphs)[order])


def test_draws() -> None:
    graphs = graph(9)
    mask = GraphMAE2(RANDOM).draw_mask(graphs, [generator(5), generator(6)])
    assert mask.remasked is not None
    assert mask.kept is not None
    assert mask.teacher_kept is not None
    assert mask.remasked.sum(1).tolist() == [10] * 3
    assert len(mask.remasked.unique(dim=0)) == 3
    assert not torch.equal(mask.kept, mask.teacher_kept)
    assert int(mask.hidden.sum()) == len(mask.token) == 10
    moved = mask.to("cpu")
    for name in ("hidden", "token", "kept", "teacher_kept", "remasked"):
        assert torch.equal(getattr(moved, name), getattr(mask, name))
    share = torch.cat([remask_nodes(8, 0.25, 4, generator(k)) for k in range(500)]).double().mean(0)
    assert (share - 0.25).abs().max() < 0.05


@pytest.mark.parametrize("kind", ["gat", "gin"])
@pytest.mark.parametrize("remask", ["fixed", "random"])
def test_saved_and_loaded(tmp_path: Path, kind: Literal["gat", "gin"], remask: Literal["fixed", "random"]) -> None:
    encoder = GraphEncoderConfig(kind, 8, 2, 2, norm="batchnorm" if kind == "gin" else "none")
    model = GraphMAE2(GraphMAE2Config(5, encoder, remask=remask)).eval()
    graphs = graph(5)
    mask = model.draw_mask(graphs, generator(0))
    model.save_pretrained(tmp_path)
    assert torch.equal(load_model(tmp_path)(graphs, mask).loss, model(graphs, mask).loss)


def test_the_command_line_pretrains_resumes_and_probes(tmp_path: Path) -> None:
    recipe, out = tmp_path / "tiny.yaml", tmp_path / "run"
    recipe.write_text(
        "system: graphmae2\ndata: digits\nmodel: {width: 64, projector_dim: 4, encoder: {dim: 16, heads: 2}, remask: "
        "random, views: 2, drop_edge: 0.2, momentum: 0.9}\nprobe_nodes: {epochs: 20}\nrun: {accelerator: cpu}\n"
        "optim: {algorithm: adamw, decay: all, warmup_epochs: 0, lr: 0.01, clip_norm: 3}\n"
        "train: {epochs: 8, batch_size: 1}\n"
    )

    def command(*words: object) -> int:
        return run("mmgraph", ABOUT, COMMANDS, [str(word) for word in words])

    assert command("pretrain", recipe, "--out", out, "--run.log_steps", 1) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "loss_sce", "loss_latent"} <= rows[-1].keys()
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert command("probe", out) == 0
    said = json.loads((out / "probe.json").read_text())
    assert all(0.1 < row["mean"] <= 1 for row in said["rows"])


def test_a_stopped_training_goes_on_with_its_teacher(tmp_path: Path) -> None:
    """The teacher is part of the state: stopped after a step and resumed, a run ends with the same weights."""
    recipe = tiny(4, momentum=0.5)
    recipe.run.save_steps = 1
    pretrain(recipe, tmp_path / "whole")
    pretrain(recipe, tmp_path / "cut")
    for state in (tmp_path / "cut" / "state").glob("step-*4"):
        shutil.rmtree(state)
    outcome = pretrain(recipe, tmp_path / "cut", resume=True)
    assert outcome.result.steps_now == 1
    whole, cut = (load_model(tmp_path / name).state_dict() for name in ("whole", "cut"))
    assert same(whole, cut)


def test_bad_settings_and_names() -> None:
    for settings in ({"momentum": 1.5}, {"mask_ratio": 0.0}, {"remask_ratio": 1.0}, {"views": 0}, {"gamma": 0.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            GraphMAE2Config(**settings)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="surprise"):
        from_official({"surprise": torch.zeros(1)}, FIXED)


def test_initial_scales_are_official() -> None:
    torch.manual_seed(0)
    model = GraphMAE2(GraphMAE2Config(512, GraphEncoderConfig(dim=1024, heads=4), remask="random", init="xavier"))
    heads, out = 4, 256
    for parameter, inputs, outputs, gain in (
        (model.encoder.encoder.layers[1].att_source, heads * out, out, 2),
        (model.objectives["sce"].head.layer.att_target, 512, 512, 2),
        (model.objectives["sce"].head.bridge.weight, 1024, 1024, 2),
        (model.objectives["sce"].head.token, 1024, 1, 1),
        (model.encoder.token, 512, 1, 1),
    ):
        assert float(parameter.detach().std()) == pytest.approx((2 * gain / (inputs + outputs)) ** 0.5, rel=0.15)
    assert not GraphMAE2(FIXED).encoder.token.any()
