"""Checkpoints of pretrain-gnns (chem, GIN) as our models, and back."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.errors import UserError
from core.saving import load_strictly
from mmgraph.config import AttrMaskingConfig
from mmgraph.models.attr_masking import AttrMasking


def module_names(config: AttrMaskingConfig) -> dict[str, str]:
    """Our names of modules by the official ones; heads are called as the official training script calls them."""
    stack = "encoder.stack"
    names = {"linear_pred_atoms": "objectives.node.head.linear"}
    if config.mask_edges:
        names["linear_pred_bonds"] = "objectives.edge.head.linear"
    for column in range(len(config.node_vocabulary)):
        names[f"x_embedding{column + 1}"] = f"encoder.node_columns.columns.{column}"
    for layer in range(config.depth):
        for column in range(len(config.edge_vocabulary)):
            names[f"gnns.{layer}.edge_embedding{column + 1}"] = f"{stack}.layers.{layer}.edges.columns.{column}"
        names[f"gnns.{layer}.mlp.0"] = f"{stack}.layers.{layer}.inner"
        names[f"gnns.{layer}.mlp.2"] = f"{stack}.layers.{layer}.outer"
        names[f"batch_norms.{layer}"] = f"{stack}.norms.{layer}"
    return names


def from_official(weights: Mapping[str, Tensor], config: AttrMaskingConfig) -> dict[str, Tensor]:
    """Official names to ours, of the GNN and of heads where they are given.

    Raises:
        UserError: an entry that the official GIN of this configuration does not have.
    """
    return _renamed(weights, module_names(config), "the state dict of pretrain-gnns' GIN")


def to_official(weights: Mapping[str, Tensor], config: AttrMaskingConfig) -> dict[str, Tensor]:
    """Our names to the official ones, heads included: the inverse of :func:`from_official`.

    Raises:
        UserError: an entry that a model of this configuration does not have.
    """
    return _renamed(weights, {ours: official for official, ours in module_names(config).items()}, "AttrMasking")


def with_heads(weights: Mapping[str, Tensor], model: AttrMasking) -> dict[str, Tensor]:
    """Official names to ours for a whole model: heads that the official file lacks stay as they are in the model.

    Raises:
        UserError: as :func:`from_official`.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("objectives.")}
    return own | from_official(weights, model.config)


def load_official(weights: Mapping[str, Tensor], source: str, mask_edges: bool = False) -> AttrMasking:
    """A model in evaluation mode with the weights of an official checkpoint, its sizes taken from theirs.

    The official checkpoints hold the GNN alone. Heads that are not given are fresh, from torch's default generator: they
    are needed to pretrain further, not for embeddings.

    Args:
        weights: an official state dict, with or without heads.
        source: its file, named in errors.
        mask_edges: the model also hides and predicts edges.

    Raises:
        UserError: another architecture, or entries that are missing or of another shape.
    """
    try:
        config = _config(weights, mask_edges)
    except (LookupError, ValueError) as error:
        raise UserError(f"{source}: not a checkpoint of pretrain-gnns' GIN for molecules ({error})") from error
    model = AttrMasking(config)
    load_strictly(model, with_heads(weights, model), source)
    model.eval()
    return model


def _config(weights: Mapping[str, Tensor], mask_edges: bool) -> AttrMaskingConfig:
    """Sizes as the shapes tell them: one row of the first table of nodes is the mask token, two of that of edges tokens."""
    atoms, bonds = weights["x_embedding1.weight"], weights["gnns.0.edge_embedding1.weight"]
    return AttrMaskingConfig(
        node_vocabulary=(len(atoms) - 1, len(weights["x_embedding2.weight"])),
        edge_vocabulary=(len(bonds) - 2, len(weights["gnns.0.edge_embedding2.weight"])),
        mask_edges=mask_edges,
        dim=atoms.shape[1],
        depth=sum(name.startswith("batch_norms.") and name.endswith(".weight") for name in weights),
    )


def _renamed(weights: Mapping[str, Tensor], names: Mapping[str, str], where: str) -> dict[str, Tensor]:
    found = {}
    for name, tensor in weights.items():
        module, _, entry = name.rpartition(".")
        if module not in names:
            raise UserError(f"{name} is not an entry of {where}")
        found[f"{names[module]}.{entry}"] = tensor
    return found
