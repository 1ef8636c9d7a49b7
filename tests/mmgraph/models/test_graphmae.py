from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from core.batchnorm import BatchNorm
from core.prelu import PReLU
from core.random import generator
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig
from mmgraph.drop_edges import drop_edges
from mmgraph.graph import Graphs, join
from mmgraph.layers.features import NodeFeatures
from mmgraph.layers.gat import GATLayer
from mmgraph.layers.gin import GINLayer
from mmgraph.masks import NodeMask, mask_nodes
from mmgraph.models.graphmae import GraphMAE, GraphMAEDecoder
from mmgraph.models.graphmae_official import from_official

SIZES = {
    "graphmae_gat": GraphMAEConfig(
        24, GraphEncoderConfig("gat", 32, 2, 4, 0.0, 0.0), mask_ratio=0.5, replace_ratio=0.15, gamma=3
    ),
    "graphmae_gin": GraphMAEConfig(
        5, GraphEncoderConfig("gin", 24, 2, 1, 0.0, 0.0, norm="batchnorm"), mask_ratio=0.75, replace_ratio=0.1, gamma=2
    ),
}


class Golden:
    """Weights, inputs and results of an official implementation."""

    def __init__(self, folder: Path, name: str) -> None:
        self.arrays = np.load(folder / "golden" / f"{name}.npz")
        self.model = GraphMAE(SIZES[name])
        official = {key.removeprefix("weight/"): self[key] for key in self.arrays if key.startswith("weight/")}
        self.model.load_state_dict(from_official(official))
        offsets = None
        if "in/batch" in self.arrays:
            offsets = torch.cat([torch.zeros(1, dtype=torch.int64), self["in/batch"].bincount().cumsum(0)])
        self.graphs = Graphs(self["in/x"], self["in/edge_index"], offsets)

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    def mask(self, mode: str) -> NodeMask:
        hidden = torch.zeros(len(self.graphs.x), dtype=torch.bool)
        hidden[self[f"{mode}/mask_nodes"]] = True
        drawn = (self[f"{mode}/{key}_nodes"] for key in ("token", "noise", "noise_source"))
        return NodeMask(hidden, self.graphs.offsets, *drawn)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize(
    ("name", "mode"), [("graphmae_gat", "eval"), ("graphmae_gin", "eval"), ("graphmae_gin", "train")]
)
@pytest.mark.parametrize("sparse", [False, True])
def test_parity(shared: Path, name: str, mode: str, sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmgraph.graph.SPARSE", 2.0 if sparse else -1.0)
    golden = Golden(shared, name)
    model = golden.model.train(mode == "train")
    mask = golden.mask(mode)
    before = golden.graphs.x.clone()
    output = model(golden.graphs, mask)
    assert torch.equal(golden.graphs.x, before)
    close(output.loss, golden[f"{mode}/loss"])
    close(output.latent, golden[f"{mode}/hook/encoder/0"])
    close(output.predictions["sce"], golden[f"{mode}/hook/decoder/0"][mask.hidden_index])
    output.loss.backward()
    for key in golden.arrays:
        if key.startswith(f"{mode}/grad/"):
            official = {key.removeprefix(f"{mode}/grad/"): golden[key]}
            ((ours, theirs),) = from_official(official).items()
            gradient = dict(model.named_parameters())[ours].grad
            assert gradient is not None
            close(gradient, theirs)
        if key.startswith(f"{mode}/after/"):
            ((ours, theirs),) = from_official({key.removeprefix(f"{mode}/after/"): golden[key]}).items()
            close(model.state_dict()[ours], theirs)


@pytest.mark.parametrize("name", list(SIZES))
def test_parity_of_embeddings(shared: Path, name: str) -> None:
    golden = Golden(shared, name)
    close(golden.model.eval().encode(golden.graphs), golden["embed/clean"])


def test_a_batch_is_its_graphs(square: Graphs) -> None:
    torch.manual_seed(0)
    for kind in ("gat", "gin"):
        model = GraphMAE(GraphMAEConfig(5, GraphEncoderConfig(kind, 8, 2, 2))).eval()  # type: ignore[arg-type]
        alone = model.encode(square)
        double = model.encode(join([square, square]))
        close(double, torch.cat([alone, alone]))
        order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
        moved = Graphs(square.x[order], order.argsort()[square.edge_index])
        close(model.encode(moved), alone[order])


def test_inputs_of_gin_are_under_dropout(square: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every layer of the encoder, and of the decoder; the first sees the tokens, the last the re-masked zeros."""
    rates, inputs = [], []

    def record(x: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
        rates.append(rate * training)
        inputs.append(x)
        return x * 2

    monkeypatch.setattr("mmgraph.layers.gin.dropout", record)
    model = GraphMAE(GraphMAEConfig(5, GraphEncoderConfig("gin", 8, 2, 1, feature_dropout=0.3, norm="layernorm")))
    mask = model.draw_mask(square, generator(0))
    output = model.train()(square, mask)
    assert rates == [0.3, 0.3, 0.3]
    close(inputs[0], NodeFeatures(square, mask, model.encoder.token).dense())
    assert not inputs[2][mask.hidden_index].any()
    doubled = output.loss
    monkeypatch.setattr("mmgraph.layers.gin.dropout", lambda x, rate, training: x)
    assert float(model(square, mask).loss) != float(doubled)  # what is dropped is what is read
    monkeypatch.undo()
    assert float(model(square, mask).loss) != float(model(square, mask).loss)
    model.eval()
    assert float(model(square, mask).loss) == float(model(square, mask).loss)


@pytest.mark.parametrize(
    ("norm", "activation", "kinds"),
    [
        ("none", "prelu", (nn.Identity, PReLU)),
        ("batchnorm", "relu", (BatchNorm, nn.ReLU)),
        ("layernorm", "prelu", (nn.LayerNorm, PReLU)),
    ],
)
def test_norm_and_activation_are_those_of_the_recipe(
    norm: Literal["none", "batchnorm", "layernorm"], activation: Literal["prelu", "relu"], kinds: tuple[type, type]
) -> None:
    config = GraphEncoderConfig("gin", 8, 2, 1, norm=norm, activation=activation)
    model = GraphMAE(GraphMAEConfig(5, config))
    encoder, decoder = model.encoder.encoder, model.objectives["sce"].head
    assert isinstance(decoder, GraphMAEDecoder)
    for layer in (*encoder.layers, decoder.layer):
        assert isinstance(layer, GINLayer)
        assert (type(layer.norm), type(layer.activation)) == kinds
    assert {(type(n), type(a)) for n, a in zip(encoder.norms, encoder.activations, strict=True)} == {kinds}


def test_published_sizes() -> None:
    def count(config: GraphMAEConfig) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in GraphMAE(config).parameters())

    assert count(GraphMAEConfig()) == 2_000_488 - 2  # less two activations that the official code makes and never uses
    assert count(GraphMAEConfig(3703, GraphEncoderConfig(heads=2))) == 4_334_048 - 2


@pytest.mark.parametrize("name", list(SIZES))
def test_names_of_the_branch_main(shared: Path, name: str) -> None:
    """The DGL branch calls the same tensors otherwise."""
    arrays = np.load(shared / "golden" / f"{name}.npz")
    branch = {key.removeprefix("weight/"): torch.from_numpy(arrays[key]) for key in arrays if key.startswith("weight/")}
    words = {"lin_src": "fc", "att_src": "attn_l", "att_dst": "attn_r", "nn": "apply_func"}
    main = {
        re.sub(r"[a-z_]+", lambda word: words.get(word.group(), word.group()), key): tensor
        for key, tensor in branch.items()
        if "lin_dst" not in key and not re.fullmatch(r"(encoder|decoder)\.activation\.weight", key)
    }
    assert main.keys() - branch.keys()
    ours, theirs = from_official(main), from_official(branch)
    assert ours.keys() == theirs.keys() == GraphMAE(SIZES[name]).state_dict().keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    norm = {"encoder.gat_layers.1.norm.weight": "encoder.encoder.norms.1.weight"}
    norm["encoder.gat_layers.0.res_fc.weight"] = "encoder.encoder.layers.0.residual.weight"
    for official, expected in norm.items():
        assert list(from_official({official: torch.ones(2)})) == [expected]


@pytest.mark.parametrize("kind", ["gat", "gin"])
def test_dropped_edges_are_dropped_for_the_encoder_only(square: Graphs, kind: str) -> None:
    torch.manual_seed(0)
    config = GraphMAEConfig(5, GraphEncoderConfig(kind, 8, 2, 2, 0.0, 0.0), drop_edge=0.5)  # type: ignore[arg-type]
    model = GraphMAE(config).eval()
    mask = model.draw_mask(square, generator(2))
    assert mask.kept is not None
    output = model(square, mask)
    fewer = Graphs(square.x, square.edge_index[:, mask.kept], square.offsets)
    everything = NodeMask(mask.hidden, square.offsets, mask.token, mask.noise, mask.noise_source)
    close(output.latent, model(fewer, everything).latent)
    head = model.objectives["sce"].head
    close(output.predictions["sce"], head(output.latent, square, mask))
    assert not torch.allclose(output.predictions["sce"], head(output.latent, fewer, mask))
    output.loss.backward()
    assert torch.equal(model.encode(square), model.encode(Graphs(square.x, square.edge_index, square.offsets)))


def test_no_edge_is_drawn_where_none_is_dropped(square: Graphs) -> None:
    """Masks of runs from before there was ``drop_edge`` stay what they were."""
    plain, dropping = (GraphMAE(GraphMAEConfig(5, GraphEncoderConfig(dim=8), drop_edge=d)) for d in (0.0, 0.5))
    source, other = generator(7), generator(7)
    mask = plain.draw_mask(square, source)
    nodes = mask_nodes(square.offsets, 0.5, 0.05, other)
    assert mask.kept is None
    assert torch.equal(mask.hidden, nodes.hidden)
    assert torch.equal(source.get_state(), other.get_state())
    drawn = dropping.draw_mask(square, generator(7))
    assert torch.equal(drawn.hidden, mask.hidden)
    assert drawn.kept is not None
    assert torch.equal(drawn.kept, drop_edges(square, 0.5, other))


def test_residuals() -> None:
    """Of the dropped-out input; the decoder has none; GraphMAE2 has one only where it is projected."""
    config = GraphEncoderConfig("gat", 8, 3, 2, residual=True)
    model = GraphMAE(GraphMAEConfig(5, config))
    kinds = [type(layer.residual).__name__ for layer in model.encoder.encoder.layers]
    assert kinds == ["Linear", "Identity", "Identity"]
    decoder = model.objectives["sce"].head.layer
    assert isinstance(decoder, GATLayer)
    assert decoder.residual is None
    projected = GraphMAE(GraphMAEConfig(5, GraphEncoderConfig("gat", 8, 3, 2, residual=True, residual_at="projected")))
    assert [layer.residual is None for layer in projected.encoder.encoder.layers] == [False, True, True]
    layer = GATLayer(4, 2, 2, feature_dropout=0.5, residual=True).train()
    with torch.no_grad():
        layer.linear.weight.zero_()
    loops = Graphs(torch.ones(100, 4), torch.zeros(2, 0, dtype=torch.int64)).edges
    assert set(layer(torch.ones(100, 4), loops).unique().tolist()) == {0.0, 2.0}
