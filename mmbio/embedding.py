"""Frozen features of sequences and of residues, from any model of mmbio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from mmbio.evaluating import BATCH_TOKENS, evaluating
from mmbio.residue_features import ResidueFeatures
from mmbio.windows import Window, windows


class Piece(NamedTuple):
    """A window of one of the texts as the model's reader reads it, and its regions, "" where there are none; ``whole`` is the
    length of the text."""

    sequence: int
    whole: int
    window: Window
    item: Any
    regions: str = ""

    @property
    def length(self) -> int:
        return self.window.end - self.window.begin


def embed_sequences(
    model: Any, texts: Sequence[str], tokens: int = BATCH_TOKENS, regions: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Features of sequences, (N, C): what ``model.embed`` gives, in evaluation mode, mode restored afterwards.

    Of a sequence that is cut into windows, the mean over these, each by how many tokens it speaks for.

    Args:
        texts: proteins, or molecules as SMILES.
        tokens: of a batch; sequences of similar length go together.
        regions: of every sequence, a digit a residue; none at all where they are not known.

    Raises:
        UserError: a text that the model cannot read.
    """
    found: NDArray[np.float32] | None = None
    with evaluating(model) as device:
        for some in batches(pieces(model, texts, regions), tokens):
            features = model.embed(batch_of(model, some).to(device)).float().cpu().numpy()
            if found is None:
                found = np.zeros((len(texts), features.shape[1]), np.float32)
            for piece, row in zip(some, features, strict=True):
                share = (piece.window.last - piece.window.first) / max(piece.whole, 1)
                found[piece.sequence] += row * share
    if found is None:
        raise UserError("no sequences to embed")
    return found


def embed_residues(
    model: Any, texts: Sequence[str], tokens: int = BATCH_TOKENS, regions: Sequence[str] = ()
) -> ResidueFeatures:
    """Features of every residue, token or atom, what ``model.encode`` gives for it, in evaluation mode, mode restored afterwards.

    A sequence longer than the model's positions is cut by :func:`~mmbio.windows.windows`. Arguments as
    :func:`embed_sequences`.

    Raises:
        UserError: a text that the model cannot read, or features that are not finite in half precision.
    """
    found: ResidueFeatures | None = None
    cut = pieces(model, texts, regions)
    lengths = list({piece.sequence: piece.whole for piece in cut}.values())
    with evaluating(model) as device:
        for some in batches(cut, tokens):
            batch = batch_of(model, some).to(device)
            features = model.encode(batch)[model.own_tokens(batch)].to(torch.float16).cpu()
            if not bool(features.isfinite().all()):
                raise UserError(
                    f"{type(model).__name__}: features of residues that are NaN, or too large for half precision"
                )
            if found is None:
                found = ResidueFeatures(lengths, features.shape[1])
            for piece, rows in zip(some, features.split([piece.length for piece in some]), strict=True):
                begin, _, first, last = piece.window
                found.of(piece.sequence)[first:last] = rows[first - begin : last - begin].numpy()
    if found is None:
        raise UserError("no sequences to embed")
    return found


def pieces(model: Any, texts: Sequence[str], regions: Sequence[str] = ()) -> list[Piece]:
    """Texts as windows that fit into a model.

    Raises:
        UserError: a text that the model cannot read, with its number.
    """
    found, reader = [], model.reader
    for number, text in enumerate(texts):
        try:
            item = reader.read(text)
        except UserError as error:
            raise UserError(f"sequence {number}: {error}") from error
        whole = reader.length(item)
        for window in windows(whole, reader.longest):
            part = reader.window(item, window.begin, window.end)
            tags = regions[number][window.begin : window.end] if regions else ""
            found.append(Piece(number, whole, window, part, tags))
    return found


def batches(some: list[Piece], tokens: int) -> Iterator[list[Piece]]:
    """Pieces of similar length, at most so many tokens together, or one that has more."""
    batch: list[Piece] = []
    size = 0
    for piece in sorted(some, key=lambda piece: piece.length):
        if batch and size + piece.length > tokens:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += piece.length
    if batch:
        yield batch


def batch_of(model: Any, some: Sequence[Piece]) -> Any:
    """Pieces as one batch of a model."""
    regions = [piece.regions for piece in some if piece.regions]
    return model.reader.join([piece.item for piece in some], regions)
