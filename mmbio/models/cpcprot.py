"""CPCProt: match the context of patches of residues with the patches that follow."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_sequence, unpack_sequence

from core.errors import UserError
from core.masked_model import MaskedOutput
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from mmbio.config import CPCProtConfig
from mmbio.contrast import score_contrast
from mmbio.data.tokens import TokenData
from mmbio.layers.patches import PATCH, PatchEncoder, padded, patch_counts, patches_of
from mmbio.proteins.alphabet import IUPAC
from mmbio.readers import TokenReader
from mmbio.sequences import Sequences

RESIDUES_ONLY = replace(IUPAC, name="IUPAC without begin and end", begin=None, end=None)
"""CPCProt's vocabulary: TAPE's ids, nothing put around a sequence."""


class Patches(NamedTuple):
    """Features of patches ``z`` and of what came until then ``c``, (patches, C) each, and the patches a sequence, (B,)."""

    z: Tensor
    c: Tensor
    counts: Tensor


class CPCProt(Pretrained, nn.Module):
    """Tell a sequence's coming patches from those that other sequences have at the same place.

    Context at patch t is scored against patches t + 1 to t + K by dot products; the negatives are the contexts that other
    sequences of the batch have at t. The loss is the mean cross-entropy over sequences, places and steps. A sequence takes
    part at t while it has K more patches; the released code lets those that ended take part with their padding, in the
    softmax and in the mean (``rows`` "all").

    Args:
        config: sizes; the defaults are the published model of 1.7 million parameters.

    Shapes: a batch is a :class:`~mmbio.sequences.Sequences` over :data:`RESIDUES_ONLY`; ``model(batch, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with part ``nce``, predictions (terms, B) and targets (terms,), the number of
    the sequence. A mask says which patches, (patches,), are predicted.

    Raises:
        UserError: a batch in which no two sequences are long enough.

    Source: Lu et al., "Self-Supervised Contrastive Learning of Protein Representations By Mutual Information Maximization",
    bioRxiv 2020.09.04.283929, Section 3; CPCProt/model of amyxlu/CPCProt.
    """

    Config = CPCProtConfig
    longest: int | None = None  # tokens of a sequence
    fewest = 2
    """Sequences of the smallest batch: they are told from one another."""
    names_hidden = False

    def __init__(self, config: CPCProtConfig) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = RESIDUES_ONLY
        self.encoder = PatchEncoder(len(RESIDUES_ONLY), config.dim)
        self.gru = nn.GRU(config.dim, config.dim)

    @property
    def reader(self) -> TokenReader:
        return TokenReader(self.vocabulary, self.longest)

    @property
    def shortest(self) -> int:
        """Residues of the shortest sequence that takes part in the loss."""
        return PATCH * (self.config.first + 1 + self.config.steps)

    def learns_from(self, batch: Sequences) -> Tensor:
        """Sequences of a batch that are long enough to take part in the loss: (B,) bool on the CPU; the official code drops
        shorter ones too."""
        return batch.lengths.cpu() >= self.shortest

    def held_out_scores(self, data: TokenData, batch_size: int) -> dict[str, float]:
        """What is logged of sequences that are not trained on."""
        score = score_contrast(self, data, batch_size)
        return {"held_out_loss": score.loss, "held_out_accuracy": score.accuracy}

    def draw_mask(self, batch: Sequences, randomness: Randomness = None) -> Mask:
        """The patches that are predicted: all behind the first contexts, of sequences that are long enough. Nothing is drawn."""
        counts = patch_counts(batch).cpu()
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        sample = torch.repeat_interleave(torch.arange(len(batch)), counts)
        place = torch.arange(len(sample)) - offsets[:-1][sample]
        return Mask((place > self.config.first) & self.learns_from(batch)[sample], offsets)

    def patches(self, batch: Sequences) -> Patches:
        """Features of all patches and of their contexts, each sequence for itself."""
        counts = patch_counts(batch)
        z = self.encoder(patches_of(batch))
        return Patches(z, self._contexts(z, counts.tolist()), counts)

    def forward(self, batch: Sequences, mask: Mask | None = None) -> MaskedOutput:
        mask = self.draw_mask(batch) if mask is None else mask
        counts = patch_counts(batch)
        mask = mask.to(batch.ids.device)
        if int((batch.lengths >= self.shortest).sum()) < 2:
            raise UserError(
                f"a batch of {len(batch)} sequences, of which fewer than two have {self.shortest} residues; expected two to "
                "tell from one another"
            )
        read = batch
        if self.config.rows == "all":
            read = padded(batch, batch.lengths.max().expand(len(batch)), RESIDUES_ONLY.pad_id)
        found = self.patches(read)
        z, c = (pad_sequence(x.split(found.counts.tolist())) for x in (found.z, found.c))  # (N, B, C)
        hidden = pad_sequence(mask.hidden.split(counts.tolist())) if len(mask.hidden) else mask.hidden
        scores, targets, weights = self._terms(z, c, hidden, counts)
        losses = F.cross_entropy(scores.float(), targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        return MaskedOutput(loss, {"nce": loss.detach()}, mask, found.c, {"nce": scores}, {"nce": targets})

    def _terms(self, z: Tensor, c: Tensor, hidden: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (terms, B) of the contexts of all sequences for a patch, whose it is (terms,), and how much a term counts."""
        config, places = self.config, torch.arange(len(z), device=z.device).unsqueeze(1)
        running = (places >= config.first) & (places < counts - config.steps)  # (N, B)
        if config.rows == "running":
            running = running & (running.sum(1, keepdim=True) > 1)  # one alone has nothing to be told from
        scores, targets, weights = [], [], []
        last = len(z) - config.steps
        for step in range(1, config.steps + 1):
            dots = z[step : step + last] @ c[:last].transpose(1, 2)  # (N - K, B, B): patches by contexts
            if config.clip is not None:
                dots = config.clip * torch.tanh(dots / config.clip)
            scored = running[:last] & _behind(hidden, len(z))[step : step + last]
            if config.rows == "all":
                share = scored.sum(1, keepdim=True).to(dots.dtype) / len(counts)
                place, sample = (share > 0).expand_as(scored).nonzero(as_tuple=True)
                weights.append(share[place, 0])
            else:
                dots = dots.masked_fill(~running[:last].unsqueeze(1), -torch.inf)
                place, sample = scored.nonzero(as_tuple=True)
                weights.append(torch.ones_like(place, dtype=dots.dtype))
            scores.append(dots[place, sample])
            targets.append(sample)
        if not sum(len(some) for some in targets):
            raise ValueError("no patch to predict: the mask hides none that a context of two sequences goes before")
        return torch.cat(scores), torch.cat(targets), torch.cat(weights)

    def encode(self, batch: Sequences) -> Tensor:
        """Features of residues: the context at the patch that begins with each, (T, C).

        The patches are laid over a sequence from each of its first eleven residues on, as officially; behind the end stands
        padding, so that the last residues have features too, where the official code gives zeros.
        """
        counts = batch.lengths  # every residue begins a patch
        longer = padded(batch, counts + PATCH - 1, RESIDUES_ONLY.pad_id)
        starts = torch.arange(len(batch.ids), device=counts.device) + (PATCH - 1) * batch.sample
        z = self.encoder(longer.ids[starts.unsqueeze(1) + torch.arange(PATCH, device=counts.device)])
        track = batch.sample * PATCH + batch.positions % PATCH  # patches eleven residues apart follow one another
        order = track.argsort(stable=True)
        sizes = track.bincount(minlength=len(batch) * PATCH)
        contexts = self._contexts(z[order], sizes.tolist())
        return torch.empty_like(contexts).index_copy(0, order, contexts)

    def embed(self, batch: Sequences) -> Tensor:
        """Features of sequences, the mean of z over their patches: (B, C) float32; the released program's default."""
        found = self.patches(self._with_a_patch(batch))
        sums = found.z.new_zeros(len(batch), self.config.dim, dtype=torch.float32)
        sample = torch.repeat_interleave(torch.arange(len(batch), device=batch.ids.device), found.counts)
        return sums.index_add(0, sample, found.z.float()) / found.counts.unsqueeze(1)

    def embed_context(self, batch: Sequences) -> Tensor:
        """Features of sequences, the context at their last patch: (B, C) float32; the paper's choice for remote homology."""
        found = self.patches(self._with_a_patch(batch))
        return found.c[found.counts.cumsum(0) - 1].float()

    def own_tokens(self, batch: Sequences) -> Tensor:
        """(T,) bool: all tokens are of the text itself."""
        return torch.ones_like(batch.ids, dtype=torch.bool)

    def _with_a_patch(self, batch: Sequences) -> Sequences:
        """Sequences shorter than a patch with padding behind them."""
        return padded(batch, batch.lengths.clamp(min=PATCH), RESIDUES_ONLY.pad_id)

    def _contexts(self, z: Tensor, counts: list[int]) -> Tensor:
        """What the recurrent network makes of each sequence until every patch: (patches, C)."""
        parts = [part for part in z.split(counts) if len(part)]
        if not parts:
            return z
        return torch.cat(unpack_sequence(self.gru(pack_sequence(parts, enforce_sorted=False))[0]))


def _behind(hidden: Tensor, places: int) -> Tensor:
    """(n, B) bool with rows of False behind, up to (places, B)."""
    return F.pad(hidden, (0, 0, 0, places - len(hidden)))
