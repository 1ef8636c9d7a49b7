from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmgraph.config import GraphEncoderConfig, GraphMAEConfig
from mmgraph.graph import Graphs, join
from mmgraph.masks import NodeMask
from mmgraph.models.graphmae import GraphMAE
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


def test_published_sizes() -> None:
    def count(config: GraphMAEConfig) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in GraphMAE(config).parameters())

    assert count(GraphMAEConfig()) == 2_000_488 - 2  # less two activations that the official code makes and never uses
    assert count(GraphMAEConfig(3703, GraphEncoderConfig(heads=2))) == 4_334_048 - 2
