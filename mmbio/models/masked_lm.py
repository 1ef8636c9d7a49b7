"""What masked language models of proteins and molecules share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.losses import cross_entropy
from core.masked_model import MaskedModel, MaskedOutput, Objective
from core.masking import Mask, count_within
from core.random import Randomness
from core.saving import Pretrained
from core.token_masks import Corruption, TokenMask, contiguous_tokens, random_tokens, span_tokens
from mmbio.alignments import Alignments
from mmbio.config.mask import TokenMaskConfig
from mmbio.data.tokens import TokenData
from mmbio.layers.lm_head import LMHead
from mmbio.models.reconstruction import Filled
from mmbio.perplexity import score_lm
from mmbio.readers import TokenReader
from mmbio.region_masks import region_tokens, whole_regions
from mmbio.sequences import Sequences, mean_of_sequences
from mmbio.vocabulary import Vocabulary


class MaskedLM(Pretrained, MaskedModel):
    """An encoder of tokens, and a head that tells the hidden ones.

    Args:
        config: settings, which :class:`~core.saving.Pretrained` keeps.
        vocabulary: of its tokens.
        mask: which tokens are hidden.
        encoder: module called as ``encoder(batch)`` with the ids that the network reads, and as ``encoder(batch, mask)``
            with the true ones: (T, C).
        head: called as ``head(latent, inputs, mask)``, with ``logits(latent)`` for all tokens.
        more: further objectives by name.

    Shapes: a batch is a :class:`~mmbio.sequences.Sequences`; ``model(batch, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``lm``, whose mean runs over all hidden tokens of the batch.
    """

    def __init__(
        self,
        config: Any,
        vocabulary: Vocabulary,
        mask: TokenMaskConfig,
        encoder: nn.Module,
        head: LMHead | nn.Module,
        more: Mapping[str, Objective] | None = None,
    ) -> None:
        super().__init__(encoder, {"lm": Objective(head, hidden_ids, cross_entropy), **(more or {})})
        self.config = config
        self.vocabulary = vocabulary
        self.masking = mask
        self.longest: int | None = None  # tokens of a sequence, begin and end counted; None for any number

    shortest = 2
    """Tokens of the shortest sequence that something is learned from: one is hidden, one is seen."""
    fewest = 1
    """Sequences of the smallest batch."""
    names_hidden = True

    @property
    def reader(self) -> TokenReader:
        return TokenReader(self.vocabulary, self.longest)

    @property
    def lm_head(self) -> Any:
        return cast(Objective, self.objectives["lm"]).head

    @property
    def corruption(self) -> Corruption:
        """What hidden tokens become."""
        config = self.masking
        return Corruption(self.vocabulary.mask_id, self.vocabulary.drawn_ids, config.mask_share, config.random_share)

    def draw_mask(self, batch: Sequences, randomness: Randomness = None) -> TokenMask:
        """Which tokens are hidden and what is read in their place; special tokens are neither hidden nor drawn.

        Raises:
            UserError: no sequence of the batch has two tokens that may be hidden, of which one stays visible; or the kind of
                mask hides regions, and the batch has none.
        """
        config, ids, offsets = self.masking, batch.ids.cpu(), batch.offsets.cpu()
        usable = self.vocabulary.hideable_ids[ids]
        if config.kind == "span":
            mask = span_tokens(ids, offsets, usable, config.ratio, self.corruption, randomness, config.span_stop)
        elif config.kind in ("regions", "whole_regions"):
            hide = region_tokens if config.kind == "regions" else whole_regions
            mask = hide(ids, offsets, usable, regions_of(batch), config.ratio, self.corruption, randomness)
        else:
            draw = random_tokens if config.kind == "random" else contiguous_tokens
            mask = draw(ids, offsets, usable, config.ratio, self.corruption, randomness)
        if not len(mask.written):
            raise UserError(
                f"a batch of {len(batch)} sequence(s) without two tokens that masks may hide; leave such sequences out"
            )
        return mask

    def learns_from(self, batch: Sequences) -> Tensor:
        """Sequences of a batch of which masks can hide something: (B,) bool on the CPU.

        Raises:
            UserError: the kind of mask hides regions, and the batch has none.
        """
        usable = self.vocabulary.hideable_ids[batch.ids.cpu()]
        if self.masking.kind in ("regions", "whole_regions"):
            usable = usable & (regions_of(batch) > 0)
        return count_within(usable, batch.offsets.cpu()) >= (1 if self.masking.kind == "whole_regions" else 2)

    @property
    def token_names(self) -> tuple[str, ...]:
        """What is told of hidden tokens, in the order of the logits."""
        return self.vocabulary.tokens

    def true_ids(self, batch: Sequences) -> Tensor:
        """(T,) what would be told of every token of a batch."""
        return batch.ids

    def told(self, output: MaskedOutput) -> tuple[Tensor, Tensor]:
        """Logits (M, K) of the hidden tokens, and what they are (M,)."""
        return output.predictions["lm"], output.targets["lm"]

    def held_out_scores(self, data: TokenData, batch_size: int) -> dict[str, float]:
        """What is logged of sequences that are not trained on."""
        return score_lm(self, data).held_out()

    def encode(self, batch: Sequences) -> Tensor:
        """Features of all tokens, nothing hidden but what the ids say: (T, C)."""
        return self.encoder(batch)

    def embed(self, batch: Sequences) -> Tensor:
        """Features of sequences, the mean over their own tokens (not begin and end): (B, C) float32."""
        return mean_of_sequences(self.encode(batch), batch, self.own_tokens(batch))

    def own_tokens(self, batch: Sequences) -> Tensor:
        """(T,) bool: the tokens of the text itself."""
        return ~self.vocabulary.special_ids.to(batch.ids.device)[batch.ids]

    def logits(self, batch: Sequences) -> Tensor:
        """(T, K) logits of all tokens, of the ids as they are."""
        return self.lm_head.logits(self.encode(batch))

    @torch.no_grad()
    def reconstruct(self, batch: Sequences, mask: Mask | None = None) -> Filled:
        """What the model puts in the place of hidden tokens."""
        return filled(self(batch, self.draw_mask(batch) if mask is None else mask))


def filled(output: MaskedOutput) -> Filled:
    """What a model with an objective ``lm`` said of the hidden tokens."""
    return Filled.of(output.mask, output.predictions["lm"])


def regions_of(batch: Sequences) -> Tensor:
    """The regions of a batch on the CPU, (T,).

    Raises:
        UserError: the data has none.
    """
    if batch.regions is None:
        raise UserError(
            "mask.kind: these sequences have no regions to hide; expected antibodies, or another kind of mask"
        )
    return batch.regions.cpu()


def hidden_ids(batch: Sequences | Alignments, mask: Mask) -> Tensor:
    """The true ids of the hidden tokens, or of hidden cells: (M,)."""
    return batch.ids[mask.hidden_index]


def read_ids(batch: Sequences, mask: TokenMask | None) -> Sequences:
    """The batch that the network reads: hidden tokens overwritten."""
    return batch if mask is None else Sequences(mask.write(batch.ids), batch.offsets, batch.regions)
