# mypy: ignore-errors
"""Triton kernels of sparse convolution. Importing this needs triton; ``TRITON_INTERPRET=1`` runs them on a CPU."""

import triton
import triton.language as tl


@triton.jit
def gather_gemm(
    features, weight, table, out, count,
    VOLUME: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    ROWS: tl.constexpr, WIDE_IN: tl.constexpr, WIDE_OUT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out[m] = sum over k of features[table[m, k]] @ weight[k]; -1 in the table is no row."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * WIDE_OUT + tl.arange(0, WIDE_OUT)
    total = tl.zeros((ROWS, WIDE_OUT), dtype=tl.float32)
    for k in range(VOLUME):
        source = tl.load(table + rows.to(tl.int64) * VOLUME + k, mask=rows < count, other=-1)
        if tl.max(source, axis=0) >= 0:  # most offsets of a surface have no neighbour anywhere in a block
            for first in range(0, INPUTS, WIDE_IN):
                channels = first + tl.arange(0, WIDE_IN)
                gathered = tl.load(
                    features + source.to(tl.int64)[:, None] * INPUTS + channels[None, :],
                    mask=(source >= 0)[:, None] & (channels < INPUTS)[None, :],
                    other=0.0,
                )
                filters = tl.load(
                    weight + (k * INPUTS + channels[:, None]) * OUTPUTS + columns[None, :],
                    mask=(channels < INPUTS)[:, None] & (columns < OUTPUTS)[None, :],
                    other=0.0,
                )
                total += tl.dot(gathered, filters, input_precision=PRECISION)
    tl.store(
        out + rows.to(tl.int64)[:, None] * OUTPUTS + columns[None, :],
        total.to(out.dtype.element_ty),
        mask=(rows < count)[:, None] & (columns < OUTPUTS)[None, :],
    )


@triton.jit
def outer_product(
    features, gradient, inputs, outputs, starts, parts,
    VOLUME: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    SPLITS: tl.constexpr, PAIRS: tl.constexpr, WIDE_IN: tl.constexpr, WIDE_OUT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """parts[s, k] = the sum over the s-th part of offset k's pairs of features[input]^T gradient[output]."""
    k = tl.program_id(0) // SPLITS
    split = tl.program_id(0) % SPLITS
    rows = tl.program_id(1) * WIDE_IN + tl.arange(0, WIDE_IN)
    columns = tl.program_id(2) * WIDE_OUT + tl.arange(0, WIDE_OUT)
    begin = tl.load(starts + k)
    end = tl.load(starts + k + 1)
    share = (end - begin + SPLITS - 1) // SPLITS
    begin += split * share
    end = tl.minimum(begin + share, end)
    total = tl.zeros((WIDE_IN, WIDE_OUT), dtype=tl.float32)
    for first in range(begin, end, PAIRS):
        pairs = first + tl.arange(0, PAIRS)
        source = tl.load(inputs + pairs, mask=pairs < end, other=0)
        target = tl.load(outputs + pairs, mask=pairs < end, other=0)
        left = tl.load(
            features + source[:, None] * INPUTS + rows[None, :],
            mask=(pairs < end)[:, None] & (rows < INPUTS)[None, :],
            other=0.0,
        )
        right = tl.load(
            gradient + target[:, None] * OUTPUTS + columns[None, :],
            mask=(pairs < end)[:, None] & (columns < OUTPUTS)[None, :],
            other=0.0,
        )
        total += tl.dot(tl.trans(left), right, input_precision=PRECISION)
    tl.store(
        parts + ((split * VOLUME + k) * INPUTS + rows[:, None]) * OUTPUTS + columns[None, :],
        total,
        mask=(rows < INPUTS)[:, None] & (columns < OUTPUTS)[None, :],
    )
