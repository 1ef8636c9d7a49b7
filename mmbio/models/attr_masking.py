"""AttrMasking on molecules: hidden atoms, and hidden bonds if asked, are told from the rest of the molecule."""

from __future__ import annotations

import torch
from torch import Tensor

from core.masked_model import MaskedOutput
from core.masking import Mask
from core.random import Randomness
from mmbio.models.molecule_graphs import ReadsMolecules, check_atoms
from mmbio.models.reconstruction import Filled
from mmbio.molecules.elements import ELEMENTS
from mmbio.molecules.graphs import ATOM_SIZES, BOND_SIZES
from mmbio.perplexity import score_lm
from mmbio.readers import Samples
from mmgraph.attribute_masks import AttributeMask
from mmgraph.config import AttrMaskingConfig
from mmgraph.graph import Graphs
from mmgraph.models.attr_masking import AttrMasking


class MoleculeAttrMasking(ReadsMolecules, AttrMasking):
    """:class:`~mmgraph.models.attr_masking.AttrMasking` of molecules, with the vocabularies of pretrain-gnns.

    Args:
        config: sizes and mask; its vocabularies are those of :mod:`mmbio.molecules.graphs`, and what is told of hidden atoms
            is their element.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` as the reader joins molecules; outputs as those of AttrMasking.

    Raises:
        ValueError: other vocabularies, or another column of the atoms than their element is predicted.
    """

    names_hidden = True

    def __init__(self, config: AttrMaskingConfig) -> None:
        if (config.node_vocabulary, config.edge_vocabulary) != (ATOM_SIZES, BOND_SIZES):
            raise ValueError(
                f"node_vocabulary {list(config.node_vocabulary)}: with edge_vocabulary {list(config.edge_vocabulary)}; "
                f"molecules have {list(ATOM_SIZES)} and {list(BOND_SIZES)}"
            )
        if config.predict_nodes[:1] != (0,):
            raise ValueError(f"predict_nodes {list(config.predict_nodes)}: expected 0, the element, first")
        super().__init__(config)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> AttributeMask:
        """Which atoms and bonds are hidden; every molecule's atoms are drawn with its own generator where there is one each.

        Raises:
            UserError: a training batch of a single atom.
        """
        check_atoms(batch, self.training)
        return super().draw_mask(batch, randomness)

    def encode(self, batch: Graphs) -> Tensor:
        """Features of all atoms, nothing hidden: (T, C).

        Raises:
            UserError: a training batch of a single atom.
        """
        check_atoms(batch, self.training)
        return self.encoder(batch)

    @property
    def token_names(self) -> tuple[str, ...]:
        """What is told of hidden atoms."""
        return ELEMENTS

    def true_ids(self, batch: Graphs) -> Tensor:
        """(T,) the category of every atom's element."""
        return batch.x[:, 0]

    def told(self, output: MaskedOutput) -> tuple[Tensor, Tensor]:
        """Logits (M, 119) of the elements of hidden atoms, and what they are (M,)."""
        return output.predictions["node"][:, : len(ELEMENTS)], output.targets["node"][:, 0]

    def held_out_scores(self, data: Samples, batch_size: int) -> dict[str, float]:
        """What is logged of molecules that are not trained on."""
        return score_lm(self, data).held_out()

    @torch.no_grad()
    def reconstruct(self, batch: Graphs, mask: Mask | None = None) -> Filled:
        """What the model puts in the place of hidden atoms."""
        output = self(batch, self.draw_mask(batch) if mask is None else mask)
        return Filled.of(output.mask, self.told(output)[0])
