"""Graphs of one node among others: a batch may hold nothing else, in every system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_mmgraph import write_recipe

from core.cli.recipes import build_recipe, read_recipe
from core.errors import UserError
from core.files import read_metrics
from core.losses import scaled_cosine_error
from core.random import generator
from mmgraph.config import RECIPES, GraphFinetuneRecipe
from mmgraph.data.sets import GraphSet
from mmgraph.finetune import finetune
from mmgraph.graph import Graphs
from mmgraph.pretrain import pretrain

GIN = {"kind": "gin", "dim": 8, "depth": 2, "norm": "batchnorm"}
MODELS: dict[str, dict[str, Any]] = {
    "graphmae": {"width": 3, "encoder": GIN},
    "graphmae2": {"width": 3, "encoder": GIN, "projector_dim": 8},
    "mgae": {"width": 3, "dim": 8, "decoder_dim": 8},
    "maskgae": {"width": 3, "dim": 8, "out": 8, "norm": "batchnorm", "decoder_dim": 8},
    "gmae": {"width": 3, "dim": 8, "heads": 2, "depth": 1, "decoder_depth": 1},
    "attr_masking": {"node_vocabulary": [3], "edge_vocabulary": [], "dim": 8, "depth": 2},
}


def lonely(categories: bool) -> GraphSet:
    """Ten graphs of one node, and two of three to have edges."""
    path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    none = torch.empty(2, 0, dtype=torch.int64)
    sizes = [(1, none)] * 10 + [(3, path)] * 2
    source = generator(0)
    x = torch.randint(3, (16, 1), generator=source) if categories else torch.rand(16, 3, generator=source)
    parts = zip(x.split([n for n, _ in sizes]), (edges for _, edges in sizes), strict=True)
    return GraphSet("lonely", tuple(Graphs(*part) for part in parts), torch.arange(12).numpy() % 2)


@pytest.mark.parametrize("system", MODELS)
def test_a_batch_may_be_one_node(system: str, tmp_path: Path) -> None:
    """In pretraining and in fine-tuning; what is not finite would stop either."""
    settings = {"train": {"epochs": 1, "batch_size": 1}, "run": {"accelerator": "cpu", "log_steps": 1}}
    file = write_recipe(tmp_path / "r.yaml", {"system": system, "model": MODELS[system], **settings})
    recipe = build_recipe(read_recipe(file), RECIPES[system])
    data = lonely(system == "attr_masking")
    pretrain(recipe, tmp_path / "run", data=data)
    assert len(read_metrics(tmp_path / "run/metrics.jsonl")) == 12
    task = build_recipe(
        read_recipe(write_recipe(tmp_path / "t.yaml", {"task": "graphs", **settings})), GraphFinetuneRecipe
    )
    scores = finetune(task, tmp_path / "run", tmp_path / "ft", data=data)
    assert 0 <= scores["accuracy"] <= 1


def test_all_graphs_cannot_be_single_nodes() -> None:
    single = lonely(False).graphs[:10]
    with pytest.raises(UserError, match="mine: all graphs are single nodes"):
        GraphSet("mine", single, torch.zeros(10).long().numpy() - 1)


def test_no_token_has_no_loss() -> None:
    made = torch.empty(0, 4, requires_grad=True)
    loss = scaled_cosine_error(made, torch.empty(0, 4), 2)
    loss.backward()
    assert loss.item() == 0
