"""Point-BERT: masked patches are named by the codes of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.contrast import KeyQueue, mixed_contrast, momentum_contrast
from core.losses import cross_entropy
from core.masked_model import MaskedModel, MaskedOutput, Objective
from core.masking import Mask
from core.random import Randomness
from core.saving import Pretrained
from core.teachers import EMATeacher
from mm3d.config import PatchEncoderConfig, PointBERTConfig
from mm3d.layers.masked_patches import MaskedPatches, Projector, SpecialTokens
from mm3d.layers.patch_encoder import PatchEncoder, init_weights, pooled
from mm3d.layers.patches import Patches
from mm3d.looks import Looks, masked_rows
from mm3d.masks import PointBERTMask, View, draw_views, mix_patches
from mm3d.models.patch_codes import PatchCodes
from mm3d.models.point_dvae import PointDVAE
from mm3d.models.reconstruction import Reconstruction
from mm3d.rows import PictureRow


class CodeHead(nn.Linear):
    """Logits of the codes of chosen patches: latent (B, G, C) -> (M, codes).

    Only these are computed; the official code computes all and chooses afterwards.
    """

    def __init__(self, dim: int, codes: int) -> None:
        super().__init__(dim, codes)
        init_weights(self)

    def forward(self, latent: Tensor, inputs: object = None, mask: Mask | None = None) -> Tensor:
        chosen = latent.flatten(0, 1)
        return super().forward(chosen if mask is None else chosen[mask.hidden_index])


class PointBERT(Pretrained, Looks, MaskedModel):
    """Hide a block of patches behind a mask token and predict the codes that a frozen tokenizer gives them.

    The same is done on clouds mixed patch by patch with those of the reversed batch, whose class token is to be near the
    class tokens of both sources by a momentum contrast.

    Args:
        config: sizes, mask and contrast; the defaults are the published model.

    Shapes: a batch is points (B, N, 3), centred and within the unit sphere. ``model(points, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``codes`` and ``mixed_codes`` (cross-entropies), and
    ``mixed_contrast`` and ``contrast`` where they are part of the loss; its ``mask`` is a :class:`~mm3d.masks.PointBERTMask`,
    its ``latent`` (2B, G + 1, C), the plain clouds and then the mixed ones, the class token last. ``encode`` gives (B, 2C).

    A new model has a tokenizer with fresh weights: :meth:`start_from` takes a trained one. Its key network moves in
    :meth:`after_step`, and the queue of keys in a forward pass in training mode.

    Source: Yu et al., "Point-BERT: Pre-training 3D Point Cloud Transformers with Masked Point Modeling", CVPR 2022, and its
    official code where the two differ: the contrast of plain clouds is off there. The published passes over plain and mixed
    clouds are one here from the transformer on; the key network has no head for codes, which the official one has and never
    uses.
    """

    Config = PointBERTConfig
    encoder: PatchEncoder

    def __init__(self, config: PointBERTConfig) -> None:
        config.check_tokenizer()
        codes = Objective(
            CodeHead(config.encoder.dim, config.tokenizer.codes),
            PatchCodes(PointDVAE(config.tokenizer), config.statistics),
            cross_entropy,
        )
        super().__init__(PatchEncoder(config.encoder), {"codes": codes})
        self.config = config
        self.special = SpecialTokens(config.encoder.dim)
        if config.contrast:
            self.project = Projector(config.encoder.dim, config.contrast_dim)
            self.key = EMATeacher(self.query, config.momentum, dropout=True, buffers=False)
            self.queue = KeyQueue(config.contrast_dim, config.queue)

    @property
    def query(self) -> MaskedPatches:
        """Encoder, special tokens and projector as the network that the key network follows."""
        return MaskedPatches(self.encoder, self.special, cast(Projector, getattr(self, "project", nn.Identity())))

    @property
    def tokenizer(self) -> PointDVAE:
        """The frozen tokenizer."""
        return cast(PatchCodes, self._codes.target).module

    @property
    def patching(self) -> PatchEncoderConfig:
        """What says how many patches a cloud has, and of how many points."""
        return self.config.encoder

    def start_from(self, tokenizer: PointDVAE) -> None:
        """Take a trained tokenizer: as the target, and by default as the start of the mini-PointNet and the key network's.

        Raises:
            ValueError: a tokenizer of another configuration.
        """
        if tokenizer.config != self.config.tokenizer:
            raise ValueError("the tokenizer has another configuration than this model was made for")
        self.tokenizer.load_state_dict(tokenizer.state_dict())
        if self.config.embed_from == "tokenizer":
            self.encoder.embed.load_state_dict(tokenizer.encoder.state_dict())
            if self.config.contrast:
                self.key.update(self.query, momentum=0.0)

    def tokenize(self, batch: Tensor) -> Patches:
        """Patches of (B, N, 3) clouds."""
        return self.encoder.patchify(batch)

    def draw_mask(self, batch: Tensor, randomness: Randomness = None) -> PointBERTMask:  # type: ignore[override]
        """Hidden and replaced patches of the three passes, and how clouds are mixed."""
        return draw_views(self.encoder.centers(batch), self.config, randomness)

    def forward(self, batch: Tensor, mask: PointBERTMask | None = None) -> MaskedOutput:  # type: ignore[override]
        config, query, head = self.config, self.query, cast(CodeHead, self._codes.head)
        mask = (self.draw_mask(batch) if mask is None else mask).to(batch.device)
        patches = self.tokenize(batch)
        mixed = mix_patches(patches, mask.mixing)
        ids = self.tokenizer.ids(patches)
        tokens = torch.cat([query.tokens(patches, mask.plain), query.tokens(mixed, mask.mixed)])
        latent = query.context(tokens, torch.cat([patches.centers, mixed.centers]))
        plain_cls, mixed_cls = latent[:, -1].chunk(2)

        everything = config.loss_on == "all"
        predictions, targets, terms = {}, {}, {}
        passes = (("codes", mask.plain, ids), ("mixed_codes", mask.mixed, mask.mixing(ids)))
        for (name, view, given), outputs in zip(passes, latent[:, :-1].chunk(2), strict=True):
            scored = None if everything else view.scored
            predictions[name] = head(outputs, patches, scored)
            targets[name] = given.flatten() if scored is None else given.flatten()[scored.hidden_index]
            terms[name] = self._codes.loss(predictions[name], targets[name])
        if config.contrast:
            keys, cold = self.key(patches, mask.key), config.contrast_temperature
            earlier = self.queue.keys.clone()  # the backward pass reads them after new ones have come
            if "mixed" in config.contrast:
                share = mask.mixing.share
                features = query.contrasted(mixed_cls)
                terms["mixed_contrast"] = mixed_contrast(features, keys, earlier, cold, share)
            if "plain" in config.contrast:
                terms["contrast"] = momentum_contrast(query.contrasted(plain_cls), keys, earlier, cold)
            if self.training:
                self.queue.push(keys)
        parts = {name: term.detach() for name, term in terms.items()}
        return MaskedOutput(
            torch.stack(list(terms.values())).sum(),
            parts,
            cast(Mask, mask),
            latent,
            predictions,
            targets,
        )

    def encode(self, batch: Tensor) -> Tensor:
        """Features of whole clouds: maximum and mean of all patch tokens, (B, N, 3) -> (B, 2C)."""
        return pooled(self._context(batch)[:, :-1])

    def encode_class(self, batch: Tensor) -> Tensor:
        """What the official code probes: the class token through the projector, (B, N, 3) -> (B, contrast_dim)."""
        return self.query.project(self._context(batch)[:, -1])

    @torch.no_grad()
    def reconstruct(self, batch: Tensor, mask: PointBERTMask | None = None) -> Reconstruction:  # type: ignore[override]
        """Visible points of clouds, what the codes predicted for the hidden patches decode to, and what is there."""
        view = (self.draw_mask(batch) if mask is None else mask).to(batch.device).plain
        view = View(view.mask)  # replaced patches are not for looking at
        patches, query = self.tokenize(batch), self.query
        latent = query.context(query.tokens(patches, view), patches.centers)[:, :-1]
        ids, hidden = self.tokenizer.ids(patches).flatten(), view.mask.hidden_index
        ids[hidden] = cast(CodeHead, self._codes.head)(latent, patches, view.mask).argmax(-1)
        centers = patches.centers.unsqueeze(2)
        decoded = self.tokenizer.decode(ids.view(patches.centers.shape[:2]), patches.centers).float() + centers
        whole = patches.neighborhoods + centers
        select = view.mask
        return Reconstruction(
            select.select_visible(whole), select.select_hidden(decoded), select.select_hidden(whole), select
        )

    def look(self, points: Tensor, names: Sequence[str], randomness: Randomness = None) -> list[PictureRow]:
        """Input, visible points, and what the predicted codes decode to."""
        return masked_rows(self, points, names, randomness)

    def shown(self) -> str:
        low, high = (1 - share for share in reversed(self.config.mask_range))
        return (
            f"The network saw {low:.0%} to {high:.0%} of the patches (blue) and named the codes of the others, which the "
            "tokenizer decoded (orange)."
        )

    def hide(self, ratio: float) -> None:
        self.config.mask_range = (ratio, ratio)

    def after_step(self, steps: int) -> None:
        """Move the key network towards the query network.

        Officially it moves in the forward pass, before it is used: the same networks meet, since weights change in between.
        """
        if self.config.contrast:
            self.key.update(self.query)

    @property
    def _codes(self) -> Objective:
        return cast(Objective, self.objectives["codes"])

    def _context(self, batch: Tensor) -> Tensor:
        patches, query = self.tokenize(batch), self.query
        return query.context(query.tokens(patches), patches.centers)
