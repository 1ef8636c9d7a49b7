"""PLY, ascii and both binary byte orders: vertices and, where there are any, faces."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip


@dataclass
class _Property:
    name: str
    kind: str
    length_kind: str | None = None  # set for a list


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


def read_ply(data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Bytes of a .ply file -> (V, 3) float64 vertices, (F, 3) int64 triangles or None where it has no faces.

    Polygons are cut into fans. Raises ValueError for a broken header, missing coordinates or too little data.
    """
    encoding, elements, body = _header(data)
    vertices: np.ndarray | None = None
    faces: np.ndarray | None = None
    read = _Ascii(body) if encoding == "ascii" else _Binary(body, "<" if encoding == "binary_little_endian" else ">")
    for element in elements:
        names = [p.name for p in element.properties]
        if element.name == "vertex":
            if not {"x", "y", "z"} <= set(names):
                raise ValueError(f"PLY vertices have {', '.join(names)}; expected x, y and z")
            vertices = read.scalars(element, [names.index(axis) for axis in "xyz"])
        elif element.name == "face" and element.count:
            index = next((i for i, n in enumerate(names) if n in ("vertex_indices", "vertex_index")), None)
            if index is None or element.properties[index].length_kind is None:
                raise ValueError(f"PLY faces have {', '.join(names)}; expected the list vertex_indices")
            faces = fan(read.lists(element, index))
        else:
            read.skip(element)
        if vertices is not None and faces is not None:
            break
    if vertices is None:
        raise ValueError("PLY header names no vertices")
    return vertices, faces


def fan(polygons: list[np.ndarray] | np.ndarray) -> np.ndarray:
    """Polygons (a list of index arrays, or (F, k)) -> (T, 3) int64 triangles that share the first corner."""
    if isinstance(polygons, np.ndarray):
        k = polygons.shape[1]
        corners = [polygons[:, [0, i, i + 1]] for i in range(1, k - 1)]
        return np.concatenate(corners).astype(np.int64) if corners else np.zeros((0, 3), np.int64)
    triangles = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return np.array(triangles, np.int64).reshape(-1, 3)


def _header(data: bytes) -> tuple[str, list[_Element], bytes]:
    if not data.startswith(b"ply"):
        raise ValueError("does not start with 'ply'")
    end = data.find(b"end_header")
    start = data.find(b"\n", end) + 1
    if end < 0 or start == 0:
        raise ValueError("truncated: the PLY header has no end")
    encoding, elements = "", []
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        words = line.split()
        try:
            if not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "format":
                encoding = words[1]
            elif words[0] == "element":
                elements.append(_Element(words[1], int(words[2])))
            elif words[0] == "property" and words[1] == "list":
                elements[-1].properties.append(_Property(words[4], TYPES[words[3]], TYPES[words[2]]))
            elif words[0] == "property":
                elements[-1].properties.append(_Property(words[2], TYPES[words[1]]))
            else:
                raise ValueError
        except (IndexError, KeyError, ValueError):
            raise ValueError(f"PLY header line {line.strip()!r} is not understood") from None
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"PLY format is {encoding!r}; expected ascii, binary_little_endian or binary_big_endian")
    return encoding, elements, data[start:]


class _Ascii:
    """Elements one after another, a line each."""

    def __init__(self, body: bytes) -> None:
        self.lines = [line for line in body.decode("ascii", "replace").splitlines() if line.strip()]
        self.position = 0

    def _take(self, element: _Element) -> list[str]:
        lines = self.lines[self.position : self.position + element.count]
        if len(lines) < element.count:
            raise ValueError(f"truncated: {len(lines)} of {element.count} {element.name} lines")
        self.position += element.count
        return lines

    def skip(self, element: _Element) -> None:
        self._take(element)

    def scalars(self, element: _Element, columns: list[int]) -> np.ndarray:
        if any(p.length_kind for p in element.properties[: max(columns) + 1]):
            raise ValueError("PLY coordinates behind a list are not supported")
        lines = self._take(element)
        return np.loadtxt(lines, usecols=tuple(columns), ndmin=2) if lines else np.zeros((0, 3))

    def lists(self, element: _Element, wanted: int) -> list[np.ndarray]:
        result = []
        for line in self._take(element):
            words, position = line.split(), 0
            for index, prop in enumerate(element.properties[: wanted + 1]):
                length = int(words[position]) if prop.length_kind else 1
                position += 1 if prop.length_kind else 0
                if position + length > len(words):
                    raise ValueError(f"truncated: {element.name} line {line.strip()!r}")
                if index == wanted:
                    result.append(np.array(words[position : position + length], dtype=np.int64))
                position += length
        return result


class _Binary:
    """Elements one after another, without padding."""

    def __init__(self, body: bytes, order: str) -> None:
        self.body, self.order, self.position = body, order, 0

    def _rows(self, element: _Element, lengths: list[int]) -> np.ndarray | None:
        """All rows at once if every list has the length given; None if the data says otherwise."""
        fields: list[tuple] = []
        for i, (prop, length) in enumerate(zip(element.properties, lengths, strict=True)):
            if prop.length_kind:
                fields.append((f"n{i}", self.order + prop.length_kind))
            fields.append((f"f{i}", self.order + prop.kind, (length,)))
        record = np.dtype(fields)
        if len(self.body) - self.position < element.count * record.itemsize:
            if not any(p.length_kind for p in element.properties):
                have = (len(self.body) - self.position) // max(record.itemsize, 1)
                raise ValueError(f"truncated: {have} of {element.count} {element.name} records")
            return None
        rows = np.frombuffer(self.body, record, element.count, self.position)
        if any((rows[f"n{i}"] != n).any() for i, n in enumerate(lengths) if element.properties[i].length_kind):
            return None
        self.position += element.count * record.itemsize
        return rows

    def _number(self, kind: str) -> int:
        value = np.frombuffer(self.body, self.order + kind, 1, self.position)[0]
        self.position += value.dtype.itemsize
        return int(value)

    def _slow(self, element: _Element, wanted: int) -> list[np.ndarray]:
        result = []
        for row in range(element.count):
            for index, prop in enumerate(element.properties):
                width = np.dtype(prop.kind).itemsize
                needed = np.dtype(prop.length_kind).itemsize if prop.length_kind else 0
                if self.position + needed > len(self.body):
                    raise ValueError(f"truncated: {row} of {element.count} {element.name} records")
                length = self._number(prop.length_kind) if prop.length_kind else 1
                if length < 0 or self.position + length * width > len(self.body):
                    raise ValueError(f"truncated: {row} of {element.count} {element.name} records")
                if index == wanted:
                    values = np.frombuffer(self.body, self.order + prop.kind, length, self.position)
                    result.append(values.astype(np.int64))
                self.position += length * width
        return result

    def skip(self, element: _Element) -> None:
        if any(p.length_kind for p in element.properties):
            self._slow(element, -1)
        else:
            self._rows(element, [1] * len(element.properties))

    def scalars(self, element: _Element, columns: list[int]) -> np.ndarray:
        if any(p.length_kind for p in element.properties):
            raise ValueError("PLY vertices with lists are not supported")
        rows = self._rows(element, [1] * len(element.properties))
        assert rows is not None
        return np.stack([rows[f"f{c}"][:, 0] for c in columns], axis=1).astype(np.float64)

    def lists(self, element: _Element, wanted: int) -> list[np.ndarray] | np.ndarray:
        only_list = sum(p.length_kind is not None for p in element.properties) == 1
        if only_list:  # nearly every mesh: triangles throughout
            rows = self._rows(element, [3 if p.length_kind else 1 for p in element.properties])
            if rows is not None:
                return rows[f"f{wanted}"].astype(np.int64)
        return self._slow(element, wanted)
