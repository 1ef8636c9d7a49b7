"""The MSA Transformer: a masked language model of alignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.dropout import dropout
from core.errors import UserError
from core.losses import cross_entropy
from core.masked_model import MaskedModel, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from core.token_masks import TokenMask
from mmbio.alignments import Alignments
from mmbio.config import MSADataConfig, MSATransformerConfig
from mmbio.data.msa import MSAData, MSASet
from mmbio.layers.axial import AxialBlock
from mmbio.layers.lm_head import LMHead
from mmbio.models.masked_lm import Filled, filled, hidden_ids
from mmbio.msa_mask import CellCorruption, masked_cells
from mmbio.msa_score import score_msa
from mmbio.proteins.alphabet import AF2, ESM_MSA
from mmbio.vocabulary import Vocabulary


class MSAEncoder(nn.Module):
    """Embeddings of tokens, columns and rows, a norm, axial blocks, a norm: (batch, mask) -> (T, C).

    Args:
        config: sizes.
        vocabulary: of the tokens.
    """

    def __init__(self, config: MSATransformerConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        dim = config.dim
        self.embedding = nn.Embedding(len(vocabulary), dim)
        self.position = nn.Embedding(config.positions, dim)
        self.row_position = (
            nn.Parameter(0.01 * torch.randn(config.row_positions, dim)) if config.row_positions else None
        )
        self.norm_before = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            AxialBlock(dim, config.heads, config.hidden, config.dropout) for _ in range(config.depth)
        )
        self.norm_after = nn.LayerNorm(dim)
        self.dropout = config.dropout
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=dim**-0.5)

    def embed(self, batch: Alignments) -> Tensor:
        """The input of the first block: (T, C)."""
        rows, columns = (max((shape[axis] for shape in batch.shapes), default=0) for axis in (0, 1))
        if columns > self.position.num_embeddings:
            raise UserError(
                f"an alignment of {columns} columns, begin counted; this model has {self.position.num_embeddings} positions: "
                "crop it"
            )
        x = self.embedding(batch.ids) + self.position(batch.columns)
        if self.row_position is not None:
            if rows > len(self.row_position):
                raise UserError(
                    f"an alignment of {rows} rows; this model has positions for {len(self.row_position)}: take fewer"
                )
            x = x + self.row_position[batch.rows]
        return dropout(self.norm_before(x), self.dropout, self.training)

    def layers(self, batch: Alignments) -> list[Tensor]:
        """The input of the first block and the output of every block, before the last norm: (T, C) each."""
        outputs = [self.embed(batch)]
        for block in self.blocks:
            outputs.append(block(outputs[-1], batch))
        return outputs

    def forward(self, batch: Alignments, mask: TokenMask | None = None) -> Tensor:
        if mask is not None:
            batch = Alignments(mask.write(batch.ids), batch.shapes, batch.profiles)
        return self.norm_after(self.layers(batch)[-1])


class MSATransformer(Pretrained, MaskedModel):
    """Predict hidden cells of an alignment, with attention along its rows and along its columns.

    With the alphabet ``af2`` the pretext is AlphaFold 2's masked MSA: 23 classes, gaps hidden like residues, replacements
    drawn from the column's profile as well.

    Args:
        config: alphabet, sizes and mask; the sizes are those of ESM-MSA-1b with 116 million parameters.

    Shapes: a batch is an :class:`~mmbio.alignments.Alignments`; ``model(batch, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``lm``, the mean over all hidden cells of the batch.

    Raises:
        UserError: a batch with an alignment of more columns or rows than there are positions; :meth:`samples` makes none.

    Source: Rao et al., "MSA Transformer", ICML 2021; esm/model/msa_transformer.py of fair-esm; Jumper et al., "Highly
    accurate protein structure prediction with AlphaFold", Nature 2021, supplement, Sections 1.2.7 and 1.9.9.
    """

    Config = MSATransformerConfig
    encoder: MSAEncoder

    def __init__(self, config: MSATransformerConfig) -> None:
        vocabulary = ESM_MSA if config.alphabet == "esm" else AF2
        encoder = MSAEncoder(config, vocabulary)
        head = LMHead(config.dim, encoder.embedding)
        super().__init__(encoder, {"lm": Objective(head, hidden_ids, cross_entropy)})
        self.config = config
        self.vocabulary = vocabulary
        self.longest = config.positions

    def samples(self, data: MSASet, chosen: Sequence[int], config: MSADataConfig) -> MSAData:
        """Some alignments of a set as this model takes them, in training and in probing.

        Of wider alignments than ``config.width``, or than the model has positions (the begin token takes one), a window is cut
        out; of deeper ones than ``config.depth``, or than it has positions of rows, the query and some other rows are taken.
        """
        rows = self.config.row_positions or config.depth  # without positions of rows any number fits
        width = min(config.width, self.config.positions - self.vocabulary.before)
        return MSAData(data, chosen, self.vocabulary, min(config.depth, rows), width)

    @property
    def lm_head(self) -> LMHead:
        return cast(LMHead, cast(Objective, self.objectives["lm"]).head)

    @property
    def token_names(self) -> tuple[str, ...]:
        """What is told of hidden cells."""
        return self.vocabulary.tokens

    @property
    def corruption(self) -> CellCorruption:
        """What hidden cells become."""
        c = self.config.mask
        ids = self.vocabulary
        return CellCorruption(ids.mask_id, ids.drawn_ids, c.uniform_share, c.profile_share, c.same_share)

    def draw_mask(self, batch: Alignments, randomness: Randomness = None) -> TokenMask:
        """Which cells are hidden and what is read in their place; begin tokens are neither hidden nor drawn."""
        batch = batch.to("cpu")
        usable = self.vocabulary.hideable_ids[batch.ids]
        return masked_cells(batch, usable, len(self.vocabulary), self.config.mask.ratio, self.corruption, randomness)

    def held_out_scores(self, data: MSAData) -> dict[str, float]:
        """What is logged of alignments that are not trained on."""
        return score_msa(self, data).held_out()

    def encode(self, batch: Alignments) -> Tensor:
        """Features of all cells, nothing hidden: (T, C)."""
        return self.encoder(batch)

    def embed(self, batch: Alignments) -> Tensor:
        """Features of alignments, the mean over the query's residues: (B, C) float32."""
        before = self.vocabulary.before
        return torch.stack([x[0, before:].float().mean(0) for x in batch.split(self.encode(batch))])

    def logits(self, batch: Alignments) -> Tensor:
        """(T, K) logits of all cells, of the ids as they are."""
        return self.lm_head.logits(self.encode(batch))

    def attention_maps(self, batch: Alignments) -> list[Tensor]:
        """The maps of columns that rows share, nothing hidden: (layers, heads, columns, columns) an alignment, begin included."""
        inputs = self.encoder.layers(batch)[:-1]
        blocks = cast(list[AxialBlock], list(self.encoder.blocks))
        maps = [block.rows.maps(block.norm_rows(x), batch) for block, x in zip(blocks, inputs, strict=True)]
        return [torch.stack(layers) for layers in zip(*maps, strict=True)]

    @torch.no_grad()
    def reconstruct(self, batch: Alignments, mask: Mask | None = None) -> Filled:
        """What the model puts in the place of hidden cells."""
        return filled(self(batch, self.draw_mask(batch) if mask is None else mask))
