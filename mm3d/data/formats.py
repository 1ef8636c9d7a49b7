"""Readers of single files: bytes -> vertices (V, 3) float64 and triangles (F, 3) int64 or None.

Each raises ValueError (or what numpy raises) with what is wrong; ``mm3d.data.files`` adds the file's name.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np

from mm3d.data.pcd import read_pcd
from mm3d.data.ply import fan, read_ply

Geometry = tuple[np.ndarray, np.ndarray | None]


def read_obj(data: bytes) -> Geometry:
    """Wavefront OBJ: all groups as one mesh; negative (relative) indices; vertices alone are points."""
    vertices: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in data.decode("utf-8", "replace").replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        if line.startswith(("v ", "v\t")):
            vertices.append([float(word) for word in line.split()[1:4]])
        elif line.startswith(("f ", "f\t")):
            corners = [int(word.split("/")[0]) for word in line.split("#")[0].split()[1:]]
            corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
            triangles += [(corners[0], corners[i], corners[i + 1]) for i in range(1, len(corners) - 1)]
    if not vertices:
        raise ValueError("no 'v' lines; expected a Wavefront OBJ")
    if any(len(v) != 3 for v in vertices):
        raise ValueError("a 'v' line has fewer than three coordinates")
    return np.array(vertices), np.array(triangles, np.int64) if triangles else None


def read_stl(data: bytes) -> Geometry:
    """STL, binary (told by its length) or ascii; facets do not share vertices."""
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if count >= 0 and len(data) == 84 + 50 * count:
        record = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        vertices = np.frombuffer(data, record, count, 84)["corners"].reshape(-1, 3).astype(np.float64)
    elif data.lstrip()[:5].lower() == b"solid" and b"\0" not in data[:512]:
        text = data.decode("ascii", "replace")
        if "endsolid" not in text.lower():
            raise ValueError("truncated: no 'endsolid'")
        rows = [line.split()[1:4] for line in text.splitlines() if line.lstrip().lower().startswith("vertex")]
        vertices = np.array(rows, dtype=np.float64).reshape(-1, 3)
        if len(vertices) % 3:
            raise ValueError(f"{len(vertices)} vertices; expected three a facet")
    elif count > 0 and 84 < len(data) < 84 + 50 * count:
        raise ValueError(f"truncated: {(len(data) - 84) // 50} of {count} facets")
    else:
        raise ValueError("neither ascii nor binary STL")
    return vertices, np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)


def read_off(data: bytes) -> Geometry:
    """OFF, also with the counts glued to the keyword ("OFF490 518 0"), as in some files of ModelNet."""
    lines = [line.split("#")[0].strip() for line in data.decode("ascii", "replace").splitlines()]
    lines = [line for line in lines if line]
    match = re.match(r"(?:ST)?C?N?OFF\b|(?:ST)?C?N?OFF(?=\s*\d)", lines[0]) if lines else None
    if match is None:
        raise ValueError("does not start with 'OFF'")
    rest = lines[0][match.end() :].strip()
    lines = ([rest] if rest else []) + lines[1:]
    if not lines:
        raise ValueError("truncated: no counts after 'OFF'")
    counts = lines[0].split()
    if len(counts) < 2 or not all(word.isdigit() for word in counts[:2]):
        raise ValueError(f"OFF counts are {lines[0][:40]!r}; expected vertices, faces, edges")
    n_vertices, n_faces = int(counts[0]), int(counts[1])
    body, tail = lines[1 : 1 + n_vertices], lines[1 + n_vertices : 1 + n_vertices + n_faces]
    if len(body) < n_vertices or len(tail) < n_faces:
        raise ValueError(f"truncated: {len(body)} of {n_vertices} vertices, {len(tail)} of {n_faces} faces")
    if not body:
        raise ValueError("no vertices")
    vertices = np.loadtxt(body, usecols=(0, 1, 2), ndmin=2)
    if not tail:
        return vertices, None
    if all(line.startswith("3 ") for line in tail):
        return vertices, np.loadtxt(tail, usecols=(1, 2, 3), ndmin=2, dtype=np.int64)
    polygons = []
    for line in tail:
        words = line.split()
        if len(words) <= int(words[0]):
            raise ValueError(f"truncated: OFF face {line[:40]!r}")
        polygons.append(np.array(words[1 : 1 + int(words[0])], dtype=np.int64))
    return vertices, fan(polygons)


def read_text(data: bytes) -> Geometry:
    """XYZ, TXT, PTS, CSV: columns parted by blanks, commas or semicolons.

    The first three are taken, or those called x, y and z (any case) where a header names them. Lines that
    start with # or // are comments; one first line may be a header or, as in PTS, the number of points.
    """
    if b"\0" in data:
        raise ValueError("binary data; expected text columns")
    lines = data.decode("utf-8-sig", "replace").splitlines()
    lines = [line for line in lines if not re.match(r"[\s,;]*(#|//|$)", line)]
    if not lines:
        raise ValueError("no points")
    first = _fields(lines[0])
    columns, delimiter = [0, 1, 2], None
    if len(first) == 1 and first[0].isdigit():
        if len(lines) - 1 < int(first[0]):
            raise ValueError(f"truncated: {len(lines) - 1} of {first[0]} points")
        lines = lines[1 : 1 + int(first[0])]
    elif not _is_number(first[0]):
        header, lines = lines[0], lines[1:]
        if lines:
            columns, delimiter = _named_columns(header, lines[0])
    if not lines:
        raise ValueError("no points")
    if delimiter is None:
        lines = re.sub(r"[,;]", " ", "\n".join(lines)).splitlines()
    if (count := len(lines[0].split(delimiter))) < 3:
        raise ValueError(f"{count} columns; expected at least three (x y z)")
    return np.loadtxt(lines, usecols=columns, ndmin=2, comments=None, delimiter=delimiter), None


def _named_columns(header: str, row: str) -> tuple[list[int], str | None]:
    """Where x, y and z are by the header, and what parts the columns; the first three and None if it does not say.

    None is blanks, which commas and semicolons then count as. Not so where they part a header's names: fields may be
    empty, as the one above the index that pandas writes.
    """
    delimiter = next((mark for mark in ",;\t" if mark in header and mark in row), None)
    names = [word.strip(" \t\"'").lower() for word in _fields(header, delimiter)]
    if not {"x", "y", "z"} <= set(names):
        return [0, 1, 2], None
    # R's write.table gives the column of row names no name: x would be looked for one column too early
    if (count := len(_fields(row, delimiter))) == len(names) + 1:
        raise ValueError(f"the header names {len(names)} columns, the lines have {count}; expected a name for each")
    return [names.index(axis) for axis in "xyz"], delimiter


def _fields(line: str, delimiter: str | None = None) -> list[str]:
    return line.rstrip(" \t,;").split(delimiter) if delimiter else re.sub(r"[,;]", " ", line).split()


def read_npy(data: bytes) -> Geometry:
    """One array (N, >=3); the first three columns."""
    return _columns(np.load(io.BytesIO(data), allow_pickle=False), "the array"), None


def read_npz(data: bytes) -> Geometry:
    """The array ``points``, or the only array (N, >=3)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        if "points" in arrays:
            return _columns(arrays["points"], "points"), None
        fitting = [k for k in arrays if (a := arrays[k]).ndim == 2 and a.shape[1] >= 3 and a.dtype.kind in "fiu"]
        if len(fitting) != 1:
            raise ValueError(
                f"{len(fitting)} arrays (N, 3) among {', '.join(arrays) or 'none'}; expected one, or one called points"
            )
        return _columns(arrays[fitting[0]], fitting[0]), None


def read_glb(data: bytes) -> Geometry:
    """Binary glTF: the whole scene as one mesh, through trimesh."""
    import trimesh

    try:
        mesh = trimesh.load_scene(io.BytesIO(data), file_type="glb", process=False).to_mesh()
    except Exception as error:  # on damaged bytes trimesh raises whatever comes along
        raise ValueError(f"not a readable GLB mesh: {error}") from error
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)


def _columns(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name} is {array.dtype} {array.shape}; expected numbers (N, 3)")
    return array[:, :3].astype(np.float64)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


READERS: dict[str, Callable[[bytes], Geometry]] = {
    ".ply": read_ply,
    ".obj": read_obj,
    ".stl": read_stl,
    ".off": read_off,
    ".pcd": lambda data: (read_pcd(data), None),
    ".xyz": read_text,
    ".txt": read_text,
    ".pts": read_text,
    ".csv": read_text,
    ".npy": read_npy,
    ".npz": read_npz,
    ".glb": read_glb,
}
