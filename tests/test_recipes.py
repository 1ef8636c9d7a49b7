"""Every recipe that comes with the package can be built, and has as many parameters as it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from core.cli.recipes import all_recipes, build_recipe, find_recipe
from mm3d.commands.pretrain import RECIPES
from mm3d.config import FinetuneRecipe, PointMAERecipe
from mm3d.config_pillars import GeoMAERecipe, HessVoxelMAERecipe
from mm3d.config_voxels import VoxelMAERecipe
from mm3d.models.geomae import GeoMAE
from mm3d.models.point_mae import PointMAE
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.models.voxel_mae_hess import HessVoxelMAE
from mmbio.config import RECIPES as BIO_RECIPES
from mmbio.config import SequenceFinetuneRecipe
from mmbio.models import new_model as new_bio_model
from mmgraph.config import RECIPES as GRAPH_RECIPES
from mmgraph.config import GraphFinetuneRecipe
from mmgraph.models import new_model

NAMES = [recipe.name for recipe in all_recipes("mm3d")]
KINDS: dict[type, Callable[..., torch.nn.Module]] = {
    PointMAERecipe: PointMAE,
    VoxelMAERecipe: VoxelMAE,
    HessVoxelMAERecipe: HessVoxelMAE,
    GeoMAERecipe: GeoMAE,
}
GRAPHS = [recipe.name for recipe in all_recipes("mmgraph")]
BIOLOGY = [recipe.name for recipe in all_recipes("mmbio")]


def test_they_are_found() -> None:
    assert {"demo", "point_mae", "point_mae_small", "finetune"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recipe(name: str) -> None:
    recipe = find_recipe("mm3d", name)
    assert recipe.paper
    system = recipe.values.get("system")
    made = build_recipe(recipe, RECIPES[system] if system else FinetuneRecipe)
    assert dataclasses.is_dataclass(made)
    if isinstance(made, FinetuneRecipe):
        return
    with torch.device("meta"):
        count = sum(p.numel() for p in KINDS[type(made)](made.model).parameters())
    assert recipe.parameters.replace(",", "") == str(count)


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
    made = build_recipe(recipe, BIO_RECIPES[system] if system else SequenceFinetuneRecipe)
    assert dataclasses.is_dataclass(made)
    if isinstance(made, SequenceFinetuneRecipe) or (name.startswith("demo") and not recipe.parameters):
        return
    with torch.device("meta"):
        count = sum(p.numel() for p in new_bio_model(made.model).parameters())
    assert recipe.parameters.replace(",", "") == str(count)
