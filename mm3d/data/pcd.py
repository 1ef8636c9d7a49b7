"""PCD, the point format of the Point Cloud Library: ascii, binary and binary_compressed."""

from __future__ import annotations

import struct

import numpy as np

KINDS = {"F": "f", "I": "i", "U": "u"}


def read_pcd(data: bytes) -> np.ndarray:
    """Bytes of a .pcd file -> (N, 3) float64, the fields x, y, z.

    Source: the PCD v0.7 description of the Point Cloud Library. Raises ValueError for anything else.
    """
    header, body = _header(data)
    try:
        fields, kinds = header["FIELDS"], header["TYPE"]
        sizes = [int(v) for v in header["SIZE"]]
        counts = [int(v) for v in header.get("COUNT", ["1"] * len(fields))]
        count = int(header["POINTS"][0]) if "POINTS" in header else int(header["WIDTH"][0]) * int(header["HEIGHT"][0])
        encoding = header["DATA"][0].lower()
    except (KeyError, IndexError) as error:
        raise ValueError(f"PCD header has no usable {error.args[0]} line") from None
    if not {"x", "y", "z"} <= set(fields):
        raise ValueError(f"PCD fields are {' '.join(fields)}; expected x, y and z")
    if not len(fields) == len(kinds) == len(sizes) == len(counts) or not set(kinds) <= set(KINDS):
        raise ValueError("PCD header lines FIELDS, SIZE, TYPE and COUNT do not fit together")
    types = [np.dtype(f"<{KINDS[kind]}{size}") for kind, size in zip(kinds, sizes, strict=True)]
    if encoding == "ascii":
        starts = np.concatenate([[0], np.cumsum(counts)])
        columns = tuple(int(starts[fields.index(axis)]) for axis in "xyz")
        lines = [line for line in body.decode("ascii", "replace").splitlines() if line.strip()]
        if len(lines) < count:
            raise ValueError(f"truncated: {len(lines)} of {count} points")
        return np.loadtxt(lines[:count], usecols=columns, ndmin=2) if count else np.zeros((0, 3))
    if encoding == "binary":
        # named by position: padding fields are all called "_"
        record = np.dtype([(f"f{i}", t, (n,)) for i, (t, n) in enumerate(zip(types, counts, strict=True))])
        if len(body) < count * record.itemsize:
            raise ValueError(f"truncated: {len(body) // record.itemsize} of {count} points")
        rows = np.frombuffer(body, record, count)
        return np.stack([rows[f"f{fields.index(axis)}"][:, 0] for axis in "xyz"], axis=1).astype(np.float64)
    if encoding != "binary_compressed":
        raise ValueError(f"PCD DATA is {encoding!r}; expected ascii, binary or binary_compressed")
    if len(body) < 8:
        raise ValueError("truncated: no compressed data")
    packed, full = struct.unpack("<II", body[:8])
    expected = count * sum(t.itemsize * n for t, n in zip(types, counts, strict=True))
    if len(body) - 8 < packed or full != expected:
        raise ValueError(f"truncated: {len(body) - 8} of {packed} compressed bytes, {full} of {expected} unpacked")
    raw, columns3, position = lzf_decompress(body[8 : 8 + packed], full), {}, 0
    for field, kind, width in zip(fields, types, counts, strict=True):  # one field after another, not point by point
        if field in ("x", "y", "z"):
            columns3[field] = np.frombuffer(raw, kind, count * width, position)[::width]
        position += count * width * kind.itemsize
    return np.stack([columns3[axis] for axis in "xyz"], axis=1).astype(np.float64)


def _header(data: bytes) -> tuple[dict[str, list[str]], bytes]:
    header: dict[str, list[str]] = {}
    position = 0
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end
        words = data[position:end].decode("ascii", "replace").split()
        position = end + 1
        if not words or words[0].startswith("#"):
            continue
        header[words[0].upper()] = words[1:]
        if words[0].upper() == "DATA":
            return header, data[position:]
        if len(header) > 16:
            break
    raise ValueError("no PCD header that ends in a DATA line")


def lzf_decompress(data: bytes, size: int) -> bytes:
    """Undo LZF (Marc Lehmann's liblzf) -> exactly ``size`` bytes, or ValueError."""
    out, position = bytearray(), 0
    try:
        while position < len(data):
            control = data[position]
            position += 1
            if control < 32:
                if position + control + 1 > len(data):
                    raise IndexError
                out += data[position : position + control + 1]
                position += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            start = len(out) - ((control & 31) << 8) - data[position] - 1
            position += 1
            if start < 0:
                raise IndexError
            length += 2
            if start + length <= len(out):
                out += out[start : start + length]
            else:  # the reference runs into what it writes: a repeated pattern
                pattern = out[start:]
                out += (pattern * (length // len(pattern) + 1))[:length]
            if len(out) > size:
                raise IndexError
    except IndexError:
        raise ValueError("compressed data is damaged") from None
    if len(out) != size:
        raise ValueError(f"truncated: {len(out)} of {size} bytes after decompression")
    return bytes(out)
