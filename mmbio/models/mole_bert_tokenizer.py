"""Mole-BERT's tokenizer: what an atom is in its molecule, as one of 512 codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.quantizers import GroupedQuantizer, usage
from core.random import Randomness
from core.saving import Pretrained
from core.tokenizer import Tokenizer, TokenizerOutput
from mmbio.config.mole_bert import MoleBertTokenizerConfig
from mmbio.evaluating import evaluating
from mmbio.models.molecule_graphs import ReadsMolecules, check_atoms
from mmbio.molecules.graphs import ATOM_SIZES, BOND_SIZES
from mmbio.perplexity import batches
from mmbio.readers import Samples
from mmgraph.config import AttrMaskingConfig
from mmgraph.graph import Graphs
from mmgraph.layers.categories import count_edges
from mmgraph.layers.edge_gin import EdgeGINLayer
from mmgraph.models.attr_masking import AttributeEncoder

GROUPED = (5, 6, 7)
"""Categories of carbon, nitrogen and oxygen, which have codes of their own."""

GROUP_NAMES = ("C", "N", "O", "other")
BONDS = (BOND_SIZES[0] + 2, BOND_SIZES[1])  # with self-loop and mask token, as the encoder's tables
LOOP = BOND_SIZES[0]


class DecodedAtoms(NamedTuple):
    """Logits of the elements (T, 119) and chiralities (T, 3) of atoms, and of the types of bonds (E, 4)."""

    elements: Tensor
    chirality: Tensor
    bonds: Tensor


class AtomDecoder(nn.Module):
    """PReLU, a linear map and one layer of graph convolution: codes of atoms (T, C) -> logits (T, K).

    Source: GNNDecoder in model.py of the official code, which took it from GraphMAE's; it sees the bonds.
    """

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.activation = nn.PReLU()
        self.linear = nn.Linear(dim, dim, bias=False)
        self.layer = EdgeGINLayer(dim, BONDS, out)

    def forward(self, codes: Tensor, graphs: Graphs, counts: Tensor) -> Tensor:
        return self.layer(self.linear(self.activation(codes)), graphs.edges, counts)


class MoleBertTokenizer(ReadsMolecules, Pretrained, Tokenizer):
    """A graph network, a vocabulary in four parts by element, and decoders of element, chirality and type of bond.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` as the reader joins molecules; ``ids`` gives (T,), ``encode`` (T, C)
    before quantization. Nothing is drawn, so there is no noise.

    Source: Xia et al., "Mole-BERT: Rethinking Pre-training Graph Neural Networks for Molecules", ICLR 2023, Section 4.1;
    vqvae.py of its official code. There the codes are moved by gradient, here by moving averages; there five codes are never
    used since the ends of slices were left out, here all are.
    """

    Config = MoleBertTokenizerConfig
    names_hidden = False

    def __init__(self, config: MoleBertTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = AttributeEncoder(
            AttrMaskingConfig(ATOM_SIZES, BOND_SIZES, dim=config.dim, depth=config.depth, dropout=config.dropout)
        )
        self.quantizer = GroupedQuantizer(config.codes, config.dim, config.decay, config.revive, config.kmeans)
        self.elements = AtomDecoder(config.dim, ATOM_SIZES[0])
        self.chirality = AtomDecoder(config.dim, ATOM_SIZES[1])
        self.bonds = nn.Linear(config.dim, BOND_SIZES[0])

    @property
    def codes(self) -> int:
        """Size of the vocabulary."""
        return self.quantizer.codes

    @property
    def code_names(self) -> tuple[str, ...]:
        """Of every code: its element and its number among those of the element."""
        named = zip(GROUP_NAMES, self.config.codes, strict=True)
        return tuple(f"{name}:{number}" for name, count in named for number in range(count))

    def encode(self, batch: Graphs) -> Tensor:
        """Features of all atoms before quantization: (T, C).

        Raises:
            UserError: a training batch of a single atom.
        """
        check_atoms(batch, self.training)
        return self.encoder(batch)

    def ids(self, inputs: Graphs) -> Tensor:
        """The code of every atom: (T,) int64; in full precision also where a training is in half."""
        with torch.autocast(inputs.x.device.type, enabled=False):
            return self.quantizer.encode(self.encoder(inputs), groups_of(inputs))

    def decode(self, codes: Tensor, graphs: Graphs) -> DecodedAtoms:
        """What the vectors of codes (T, C) stand for, on the bonds of their molecules."""
        assert graphs.edge_attr is not None
        counts = count_edges(graphs, graphs.edge_attr, BONDS, LOOP)
        source, target = graphs.edge_index
        return DecodedAtoms(
            self.elements(codes, graphs, counts),
            self.chirality(codes, graphs, counts),
            self.bonds(codes[source] + codes[target]),
        )

    def forward(self, batch: Graphs, noise: Tensor | None = None) -> TokenizerOutput:
        found = self.quantizer(self.encode(batch), groups_of(batch))
        decoded = self.decode(found.vectors, batch)
        assert batch.edge_attr is not None
        terms = {
            "elements": F.cross_entropy(decoded.elements, batch.x[:, 0]),
            "chirality": F.cross_entropy(decoded.chirality, batch.x[:, 1]),
            "bonds": _cross_entropy(decoded.bonds, batch.edge_attr[:, 0]),
            "commitment": found.losses["commitment"],
        }
        loss = terms["elements"] + terms["chirality"] + terms["bonds"] + self.config.commitment * terms["commitment"]
        return TokenizerOutput(loss, {name: term.detach() for name, term in terms.items()}, found.ids, decoded)

    @torch.no_grad()
    def reconstruct(self, batch: Graphs) -> DecodedAtoms:
        """What the codes of a batch decode to: categories (T,), (T,) and (E,)."""
        decoded = self.decode(self.quantizer.decode(self.ids(batch)), batch)
        return DecodedAtoms(*(logits.argmax(-1) for logits in decoded))

    def held_out_scores(self, data: Samples, batch_size: int = 0) -> dict[str, float]:
        """What is logged of molecules that are not trained on: shares of elements, chiralities and bonds that come back
        right, codes in use, and their perplexity."""
        counts = torch.zeros(self.codes, dtype=torch.long)
        right, asked = torch.zeros(3, dtype=torch.long), torch.zeros(3, dtype=torch.long)
        with evaluating(self) as device:
            for batch, _ in batches(data):
                output = self(batch.to(device))
                counts += output.ids.cpu().bincount(minlength=self.codes)
                true = (batch.x[:, 0], batch.x[:, 1], batch.edge_attr[:, 0])
                for number, (logits, known) in enumerate(zip(output.decoded, true, strict=True)):
                    right[number] += int((logits.argmax(-1).cpu() == known).sum())
                    asked[number] += len(known)
        found = usage(counts)
        shares = (right / asked.clamp(min=1)).tolist()
        named = zip(("elements", "chirality", "bonds"), shares, strict=True)
        return {
            **{f"held_out_{name}_right": share for name, share in named},
            "held_out_codes": float(found.codes),
            "held_out_perplexity": found.perplexity,
        }

    def draw_noise(self, batch: Any, randomness: Randomness = None) -> None:
        """None: nothing is drawn."""


def groups_of(graphs: Graphs) -> Tensor:
    """Which part of the vocabulary every atom has: (T,) int64, 0 to 3."""
    element = graphs.x[:, 0]
    groups = torch.full_like(element, len(GROUPED))
    for number, category in enumerate(GROUPED):
        groups[element == category] = number
    return groups


def _cross_entropy(logits: Tensor, categories: Tensor) -> Tensor:
    """Mean over what is there; 0 where nothing is, in batches without bonds."""
    return F.cross_entropy(logits, categories, reduction="sum") / max(len(categories), 1)
