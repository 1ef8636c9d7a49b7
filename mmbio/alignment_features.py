"""Frozen features of alignments: those of the query's columns, read beside rows that differ much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UserError
from mmbio.alignments import Alignments, join_alignments
from mmbio.evaluating import evaluating
from mmbio.proteins.msa import Alignment
from mmbio.windows import windows

if TYPE_CHECKING:
    from mmbio.models.msa_transformer import MSATransformer

ROWS = 128
"""Rows of an alignment that are read, where nothing else is said."""


def embed_alignments(
    model: MSATransformer, alignments: Sequence[Alignment], rows: int | None = None
) -> list[NDArray[np.float32]]:
    """Features of the query's columns, (L, C) of every alignment, in evaluation mode, mode restored afterwards.

    Of a deeper alignment the rows of :func:`spread_rows` are read. One wider than the model's positions is cut by
    :func:`~mmbio.windows.windows`.

    Args:
        rows: to read at most, the query counted; None for 128, or as many as the model has positions for.

    Raises:
        UserError: fewer than one row, more than the model has positions for, or features that are not finite.
    """
    count = rows_to_read(model, rows)
    with evaluating(model):
        return [_embedded(model, alignment, count) for alignment in alignments]


def read_rows(model: MSATransformer, alignment: Alignment, count: int) -> NDArray[np.int16]:
    """Token ids of the rows of an alignment that :func:`spread_rows` chooses: (R, C), begin tokens not among them."""
    ids = np.array([model.vocabulary.token_ids(row) for row in alignment.rows], dtype=np.int16)
    return ids[spread_rows(ids, count)]


def as_batch(model: MSATransformer, rows: NDArray[np.int16]) -> Alignments:
    """Token ids (R, C) as an alignment of a model, begin tokens added, on its device."""
    wrapped = torch.stack([model.vocabulary.wrap(row.tolist()) for row in rows])
    return join_alignments([wrapped]).to(next(model.parameters()).device)


def rows_to_read(model: MSATransformer, rows: int | None) -> int:
    """Rows of an alignment that a model reads at most: those that are asked for, or 128, or as many as it has positions for.

    Raises:
        UserError: fewer than one row, or more than the model has positions for.
    """
    most = model.config.row_positions
    if rows is not None and (rows < 1 or (most and rows > most)):
        raise UserError(f"{rows} rows; expected 1 to {most}" if most else f"{rows} rows; expected at least 1")
    return rows or min(ROWS, most or ROWS)


def _embedded(model: MSATransformer, alignment: Alignment, count: int) -> NDArray[np.float32]:
    vocabulary = model.vocabulary
    chosen = read_rows(model, alignment, count)
    found = np.zeros((alignment.width, model.config.dim), np.float32)
    for begin, end, first, last in windows(alignment.width, model.longest - vocabulary.around):
        batch = as_batch(model, chosen[:, begin:end])
        query = batch.split(model.encode(batch))[0][0, vocabulary.before :].float().cpu().numpy()
        found[first:last] = query[first - begin : last - begin]
    if not np.isfinite(found).all():
        raise UserError(f"{alignment.name}: features that are not finite")
    return found


def spread_rows(ids: NDArray[np.int16], count: int) -> list[int]:
    """Rows of an alignment that differ much, in ascending order: the query, then each time the one whose columns differ most
    from those chosen before, on average; of equal ones the first. No draws.

    Args:
        ids: (R, C), the query first.
        count: rows at most.

    Source: the greedy selection (``greedy_select``) of ESM's example of contact prediction.
    """
    if len(ids) <= count:
        return list(range(len(ids)))
    chosen, differing = [0], np.zeros(len(ids), dtype=np.int64)
    while len(chosen) < count:
        differing += (ids != ids[chosen[-1]]).sum(1)
        differing[chosen] = -1
        chosen.append(int(differing.argmax()))
    return sorted(chosen)
