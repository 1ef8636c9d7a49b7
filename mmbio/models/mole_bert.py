"""Mole-BERT: masked atoms are told as codes of a tokenizer, and molecules by two masked views of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from core.masked_model import MaskedModel, MaskedOutput, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from core.tokenizer import TokenIds
from mmbio.config.mole_bert import MoleBertConfig
from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer
from mmbio.models.molecule_graphs import ReadsMolecules, check_atoms
from mmbio.models.reconstruction import Filled
from mmbio.models.views import Pair, TwoMasks, pair_cross_entropy, two_views_loss
from mmbio.molecules.graphs import ATOM_SIZES, BOND_SIZES
from mmbio.perplexity import score_lm
from mmbio.readers import Samples
from mmgraph.attribute_masks import mask_attributes
from mmgraph.config import AttrMaskingConfig
from mmgraph.graph import Graphs
from mmgraph.layers.pool import pool_nodes
from mmgraph.models.attr_masking import AttributeEncoder, EdgeHead, NodeHead, hidden_edges


class Views(NamedTuple):
    """Features of atoms (T, C) under the first and the second mask, and with nothing hidden (without gradient), None where
    that is not asked for."""

    first: Tensor
    second: Tensor
    whole: Tensor | None


class ViewsEncoder(nn.Module):
    """One graph network that reads a batch under both masks and, if asked, whole: (graphs, masks) -> :class:`Views`."""

    def __init__(self, gnn: AttributeEncoder, whole: bool) -> None:
        super().__init__()
        self.gnn = gnn
        self.whole = whole

    def forward(self, graphs: Graphs, mask: TwoMasks) -> Views:
        first, second = self.gnn(graphs, mask), self.gnn(graphs, mask.second)
        with torch.no_grad():
            whole = self.gnn(graphs) if self.whole else None
        return Views(first, second, whole)


class EachView(nn.Module):
    """A head of its own for each of the two masked views."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.first, self.second = make(), make()

    def forward(self, latent: Views, graphs: Graphs, mask: TwoMasks) -> Pair:
        return Pair(self.first(latent.first, graphs, mask), self.second(latent.second, graphs, mask.second))


class CodesOfViews(TokenIds):
    """The tokenizer's codes of what either mask hides."""

    @torch.no_grad()
    def forward(self, inputs: Graphs, mask: Mask) -> Any:
        ids, masks = self.module.ids(inputs), cast(TwoMasks, mask)
        return Pair(ids[masks.hidden_index], ids[masks.second.hidden_index])


class Projection(nn.Module):
    """Two linear layers on the mean over atoms, for all three views: (3, B, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, latent: Views, graphs: Graphs, mask: TwoMasks) -> Tensor:
        assert latent.whole is not None
        first, second = (self.layers(pool_nodes(x, graphs, "mean")) for x in (latent.first, latent.second))
        with torch.no_grad():
            whole = self.layers(pool_nodes(latent.whole, graphs, "mean"))
        return torch.stack([first, second, whole])


class MoleBert(ReadsMolecules, Pretrained, MaskedModel):
    """Masked atoms modeling, and triplet masked contrastive learning.

    Args:
        config: sizes, masks and weights; its ``tokenizer`` describes the frozen tokenizer, whose weights
            :meth:`start_from` takes. They are saved with the model, so that it stands alone.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` as the reader joins molecules; ``model(batch, masks)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``codes``, ``bonds`` (with mask_edges) and ``views``; predictions and
    targets of the first two are pairs, one of each mask. ``encode`` gives (T, C).

    Source: Xia et al., "Mole-BERT: Rethinking Pre-training Graph Neural Networks for Molecules", ICLR 2023, Sections 4.1 and
    4.2; pretrain.py of its official code, but for the targets, which are the codes, as the paper has it: the released code
    takes the largest of the encoder's channels.
    """

    Config = MoleBertConfig
    encoder: ViewsEncoder
    names_hidden = True
    fewest = 2
    """Molecules of the smallest batch: they are told from one another."""

    def __init__(self, config: MoleBertConfig) -> None:
        gnn = AttributeEncoder(
            AttrMaskingConfig(ATOM_SIZES, BOND_SIZES, dim=config.dim, depth=config.depth, dropout=config.dropout)
        )
        target, loss = CodesOfViews(MoleBertTokenizer(config.tokenizer)), cast(Any, pair_cross_entropy)
        codes = sum(config.tokenizer.codes)
        objectives = {"codes": Objective(EachView(lambda: NodeHead(config.dim, [codes])), target, loss)}
        if config.mask_edges:
            head = EachView(lambda: EdgeHead(config.dim, BOND_SIZES[:1]))
            objectives["bonds"] = Objective(head, cast(Any, types_of_bonds), loss)
        if config.contrast_weight:
            loss = two_views_loss(config.temperature, config.triplet_weight)
            objectives["views"] = Objective(Projection(config.dim), same_molecule, loss, config.contrast_weight)
        super().__init__(ViewsEncoder(gnn, whole="views" in objectives), objectives)
        self.config = config

    @property
    def tokenizer(self) -> MoleBertTokenizer:
        """The frozen tokenizer."""
        return cast(Any, self.objectives["codes"]).target.module

    def start_from(self, tokenizer: MoleBertTokenizer) -> None:
        """Take the weights of a trained tokenizer of the configuration's sizes."""
        self.tokenizer.load_state_dict(tokenizer.state_dict())

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> TwoMasks:
        """Both masks, every molecule's from its own generator where there is one each.

        Raises:
            UserError: a training batch of a single atom.
        """
        check_atoms(batch, self.training)
        ratios = self.config.mask_ratio, self.config.second_ratio
        first, second = (mask_attributes(batch, ratio, self.config.mask_edges, randomness) for ratio in ratios)
        return TwoMasks(first, second)

    def encode(self, batch: Graphs) -> Tensor:
        """Features of all atoms, nothing hidden: (T, C).

        Raises:
            UserError: a training batch of a single atom.
        """
        check_atoms(batch, self.training)
        return self.encoder.gnn(batch)

    @property
    def token_names(self) -> tuple[str, ...]:
        """What is told of hidden atoms."""
        return self.tokenizer.code_names

    def true_ids(self, batch: Graphs) -> Tensor:
        """(T,) the code of every atom."""
        return self.tokenizer.ids(batch)

    def told(self, output: MaskedOutput) -> tuple[Tensor, Tensor]:
        """Logits (M, K) of the codes of what the first mask hides, and these codes (M,)."""
        return cast(Any, output.predictions["codes"]).first, cast(Any, output.targets["codes"]).first

    def held_out_scores(self, data: Samples, batch_size: int) -> dict[str, float]:
        """What is logged of molecules that are not trained on."""
        return score_lm(self, data).held_out()

    @torch.no_grad()
    def reconstruct(self, batch: Graphs, mask: Mask | None = None) -> Filled:
        """What the model puts in the place of what the first mask hides."""
        output = self(batch, self.draw_mask(batch) if mask is None else mask)
        return Filled.of(output.mask, self.told(output)[0])


def types_of_bonds(graphs: Graphs, mask: TwoMasks) -> Pair:
    """Types of the bonds that either mask scores."""
    return Pair(*(hidden_edges(graphs, one, (0,))[:, 0] for one in (mask, mask.second)))


def same_molecule(graphs: Graphs, mask: Mask) -> Tensor:
    """Which molecule of the second view every molecule of the first is: (B,)."""
    return torch.arange(len(graphs), device=graphs.x.device)
