"""Every recipe that comes with the package can be built, and has as many parameters as it says."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from core.cli.recipes import all_recipes, build_recipe, find_recipe
from mm3d.commands.finetune import recipe_kind
from mm3d.commands.pretrain import RECIPES
from mm3d.commands.tokenize import TOKENIZERS
from mm3d.config import FinetuneRecipe, SweepFinetuneRecipe
from mm3d.models import new_model as new_model_3d
from mmbio.config import RECIPES as BIO_RECIPES
from mmbio.config import TOKENIZERS as BIO_TOKENIZERS
from mmbio.config import SequenceFinetuneRecipe
from mmbio.models import new_model as new_bio_model
from mmgraph.config import RECIPES as GRAPH_RECIPES
from mmgraph.config import GraphFinetuneRecipe
from mmgraph.models import new_model

NAMES = [recipe.name for recipe in all_recipes("mm3d")]
GRAPHS = [recipe.name for recipe in all_recipes("mmgraph")]
BIOLOGY = [recipe.name for recipe in all_recipes("mmbio")]


def test_they_are_found() -> None:
    assert {"demo", "point_mae", "point_mae_small", "point_dvae", "point_bert", "finetune"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recipe(name: str) -> None:
    recipe = find_recipe("mm3d", name)
    assert recipe.paper
    system = recipe.values.get("system")
    made = build_recipe(recipe, (RECIPES | TOKENIZERS)[system] if system else recipe_kind(recipe))
    assert dataclasses.is_dataclass(made)
    if isinstance(made, FinetuneRecipe | SweepFinetuneRecipe):
        return
    with torch.device("meta"):
        count = sum(p.numel() for p in new_model_3d(made.model).parameters())
    assert recipe.parameters.replace(",", "") == str(count)


def test_small_systems_are_compared_on_equal_terms() -> None:
    """Point-BERT sees the data of Point-MAE, as often, with an encoder of its size, and predicts codes of the small dVAE."""
    mae, bert, dvae = (
        find_recipe("mm3d", f"{name}_small").values for name in ("point_mae", "point_bert", "point_dvae")
    )
    for section in ("data", "points", "train", "optim"):
        assert bert[section] == mae[section], section
    encoder = {name: value for name, value in bert["model"]["encoder"].items() if name != "embed_dim"}
    assert encoder == mae["model"]["encoder"]
    own = build_recipe(find_recipe("mm3d", "point_dvae_small"), TOKENIZERS["point_dvae"]).model
    assert build_recipe(find_recipe("mm3d", "point_bert_small"), RECIPES["point_bert"]).model.tokenizer == own
    assert dvae["data"] == mae["data"]


@pytest.mark.parametrize("name", GRAPHS)
def test_recipe_on_graphs(name: str) -> None:
    recipe = find_recipe("mmgraph", name)
    assert recipe.paper
    system = recipe.values.get("system")
    made = build_recipe(recipe, GRAPH_RECIPES[system] if system else GraphFinetuneRecipe)
    assert dataclasses.is_dataclass(made)
    if isinstance(made, GraphFinetuneRecipe):
        return
    with torch.device("meta"):
        count = sum(p.numel() for p in new_model(made.model).parameters())
    assert recipe.parameters.replace(",", "") == str(count)


@pytest.mark.parametrize("name", BIOLOGY)
def test_recipe_of_biology(name: str) -> None:
    """Sizes up to three billion parameters are counted without memory for them."""
    recipe = find_recipe("mmbio", name)
    assert recipe.paper
    system = recipe.values.get("system")
    made = build_recipe(recipe, (BIO_RECIPES | BIO_TOKENIZERS)[system] if system else SequenceFinetuneRecipe)
    assert dataclasses.is_dataclass(made)
    if isinstance(made, SequenceFinetuneRecipe) or (name.startswith("demo") and not recipe.parameters):
        return
    with torch.device("meta"):
        count = sum(p.numel() for p in new_bio_model(made.model).parameters())
    assert recipe.parameters.replace(",", "") == str(count)
