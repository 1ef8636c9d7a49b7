from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mm3d.data.files import SUFFIXES, as_float32, read_points, sample_surface
from mm3d.data.formats import READERS
from mm3d.data.pcd import lzf_decompress

POINTS = np.array([[0, 0, 0], [1, 0.5, 0], [0.25, 1, -2], [3, -1, 0.125]], np.float32)
TEXT = "\n".join(" ".join(f"{v:.6f}" for v in row) for row in POINTS)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ply_header(encoding: str, count: int, faces: int = 0, extra: str = "") -> str:
    face = f"element face {faces}\nproperty list uchar int vertex_indices\n" if faces else ""
    return (
        f"ply\nformat {encoding} 1.0\ncomment made here\nelement vertex {count}\n"
        f"property float x\nproperty float y\nproperty float z\n{extra}{face}end_header\n"
    )


def ply_binary(order: str) -> bytes:
    encoding = "binary_little_endian" if order == "<" else "binary_big_endian"
    rows = b"".join(struct.pack(order + "fffB", *row, 200) for row in POINTS)
    return ply_header(encoding, 4, extra="property uchar red\n").encode() + rows


def pcd_header(kind: str) -> str:
    return (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y _ z intensity\nSIZE 4 4 1 4 4\nTYPE F F U F F\n"
        f"COUNT 1 1 3 1 1\nWIDTH 4\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 4\nDATA {kind}\n"
    )


def pcd_binary() -> bytes:
    rows = b"".join(struct.pack("<ff3Bff", x, y, 1, 2, 3, z, 9.0) for x, y, z in POINTS)
    return pcd_header("binary").encode() + rows


def literal_lzf(data: bytes) -> bytes:
    """The simplest valid LZF: literal runs only."""
    return b"".join(bytes([len(data[i : i + 32]) - 1]) + data[i : i + 32] for i in range(0, len(data), 32))


def pcd_compressed() -> bytes:
    x, y, z = (np.ascontiguousarray(POINTS[:, i]).tobytes() for i in range(3))
    raw = x + y + bytes(12) + z + np.full(4, 9, "<f4").tobytes()
    packed = literal_lzf(raw)
    return pcd_header("binary_compressed").encode() + struct.pack("<II", len(packed), len(raw)) + packed


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


pcd_text = "\n".join(f"{x} {y} 1 2 3 {z} 9" for x, y, z in POINTS.tolist())

POINT_FILES: dict[str, str | bytes] = {
    "ascii.ply": ply_header("ascii", 4) + TEXT + "\n",
    "windows.ply": (ply_header("ascii", 4) + TEXT + "\n").replace("\n", "\r\n"),
    "little.ply": ply_binary("<"),
    "big.PLY": ply_binary(">"),
    "points.obj": "# made here\n" + "\n".join("v " + line for line in TEXT.splitlines()),
    "points.off": f"OFF\n# comment\n4 0 0\n\n{TEXT}\n",
    "ascii.pcd": pcd_header("ascii") + pcd_text,
    "binary.pcd": pcd_binary(),
    "compressed.pcd": pcd_compressed(),
    "blanks.xyz": TEXT,
    "commas.txt": "\n".join(line.replace(" ", ",") + ",0.5,0.5,0.5" for line in TEXT.splitlines()) + "\n\n",
    "windows.txt": TEXT.replace("\n", "\r\n"),
    "header.csv": "x,y,z\n" + TEXT.replace(" ", ","),
    "comment.xyz": "// a scan\n# of mine\n" + TEXT,
    "counted.pts": "4\n" + TEXT,
    "plain.pts": TEXT,
    "plain.npy": npy(POINTS),
    "wide.npy": npy(np.hstack([POINTS, POINTS]).astype(np.float64)),
    "named.npz": npz(points=POINTS, other=np.zeros((5, 3))),
    "only.npz": npz(xyz=POINTS, label=np.zeros(4)),
}


@pytest.mark.parametrize("name", POINT_FILES)
def test_point_files_are_returned_as_they_are(tmp_path: Path, name: str) -> None:
    points = read_points(write(tmp_path / name, POINT_FILES[name]), num_points=17)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, POINTS, atol=1e-6)


def mesh_files() -> dict[str, str | bytes]:
    box = trimesh.creation.box((1, 2, 3))
    triangles = "\n".join("3 " + " ".join(map(str, f)) for f in box.faces)
    vertices = "\n".join(" ".join(map(str, v)) for v in box.vertices)
    counts = f"{len(box.vertices)} {len(box.faces)} 0"
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    mixed = np.vstack([[0, 1, 3], [0, 3, 2]])
    body = b"".join(struct.pack("<B4i", 4, *q) for q in quads[1:])
    body += b"".join(struct.pack("<B3i", 3, *t) for t in mixed)
    mixed_ply = ply_header("binary_little_endian", 8, 7).encode() + box.vertices.astype("<f4").tobytes() + body
    return {
        "ascii.ply": trimesh.exchange.ply.export_ply(box, encoding="ascii"),
        "binary.ply": trimesh.exchange.ply.export_ply(box, encoding="binary"),
        "mixed.ply": mixed_ply,
        "quads.ply": ply_header("ascii", 8, 6)
        + vertices
        + "\n"
        + "\n".join(f"4 {a} {b} {c} {d}" for a, b, c, d in quads),
        "binary.stl": box.export(file_type="stl"),
        "ascii.stl": trimesh.exchange.stl.export_stl_ascii(box),
        "normal.off": f"OFF\n{counts}\n{vertices}\n{triangles}\n",
        "glued.off": f"OFF{counts}\n{vertices}\n{triangles}\n",
        "one_line.off": f"OFF {counts}\n{vertices}\n{triangles}\n",
        "quads.off": f"OFF\n8 6 0\n{vertices}\n" + "\n".join(f"4 {a} {b} {c} {d} 255 0 0" for a, b, c, d in quads),
        "export.obj": trimesh.exchange.obj.export_obj(box, include_normals=False),
        "groups.obj": "mtllib no.mtl\ng one\nusemtl a\n"
        + "\n".join("v " + v for v in vertices.splitlines())
        + "\nvn 0 0 1\n"
        + "\n".join("f " + " ".join(f"{c + 1}//1" for c in q) for q in quads[:3])
        + "\ng two\nusemtl b\n"
        + "\n".join("f " + " ".join(f"{c - 8}/" for c in q) for q in quads[3:]),
        "scene.glb": box.export(file_type="glb"),
    }


@pytest.mark.parametrize("name", mesh_files())
def test_meshes_have_the_area_of_the_box(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, mesh_files()[name])
    vertices, faces = READERS[path.suffix](path.read_bytes())
    assert faces is not None
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(22, rel=1e-5)
    points = read_points(path, 500, seed=3)
    assert points.shape == (500, 3)
    half = np.array([0.5, 1, 1.5])
    on_face = np.isclose(np.abs(points), half, atol=1e-5).any(axis=1)
    assert on_face.all()
    assert (np.abs(points) <= half + 1e-5).all()


def test_mesh_sample_depends_on_the_seed_alone(tmp_path: Path) -> None:
    first = write(tmp_path / "a.off", mesh_files()["normal.off"])
    second = write(tmp_path / "b.off", mesh_files()["normal.off"])
    assert np.array_equal(read_points(first, 64, 1), read_points(second, 64, 1))
    assert not np.array_equal(read_points(first, 64, 1), read_points(first, 64, 2))


def test_sampling_is_uniform_over_the_area() -> None:
    """Two triangles of area 3:1: counts follow the areas, and the moments inside one are the exact ones."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [5, 0, 0], [6, 0, 0], [5, 2, 0.0]])
    points = sample_surface(vertices, np.array([[0, 1, 2], [3, 4, 5], [3, 3, 5]]), 40000, np.random.default_rng(0))
    large = points[:, 0] < 4
    assert large.mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 40000))
    inside = points[large]
    assert (inside[:, 0] / 3 + inside[:, 1] / 2 <= 1 + 1e-12).all()
    np.testing.assert_allclose(inside.mean(axis=0), [1, 2 / 3, 0], atol=0.02)
    # x of a right triangle with leg a: E[x^2] = a^2 / 6
    np.testing.assert_allclose((inside**2).mean(axis=0), [9 / 6, 4 / 6, 0], rtol=0.03, atol=1e-12)


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty.ply": ("", "empty"),
    "unknown.docx": ("1 2 3", r"unknown suffix \.docx; expected one of \.ply, \.obj"),
    "nosuffix": ("1 2 3", r"unknown suffix \(none\)"),
    "garbage.ply": ("hello", "does not start with 'ply'"),
    "headless.ply": ("ply\nformat ascii 1.0\nelement vertex 4\n", "truncated"),
    "shouting.ply": (ply_header("ebcdic", 4) + TEXT, "PLY format is 'ebcdic'"),
    "odd.ply": (
        ply_header("ascii", 4, extra="property quaternion q\n") + TEXT,
        "'property quaternion q' is not understood",
    ),
    "flat.ply": (ply_header("ascii", 4).replace("property float z\n", "") + TEXT, "expected x, y and z"),
    "short_ascii.ply": (ply_header("ascii", 9) + TEXT, "truncated: 4 of 9 vertex"),
    "short_binary.ply": (ply_binary("<")[:-5], "truncated: 3 of 4 vertex"),
    "short_faces.ply": (mesh_files()["binary.ply"][:-3], "truncated: 11 of 12 face"),
    "short_list.ply": (ply_header("ascii", 4, 1) + TEXT + "\n3 0 1\n", "truncated"),
    "bad_face.ply": (ply_header("ascii", 4, 1) + TEXT + "\n3 0 1 7\n", "refers to vertex 7 of 4"),
    "nothing.obj": ("hello", "no 'v' lines"),
    "flat.obj": ("v 0 1\nv 1 1\n", "fewer than three"),
    "words.obj": ("v 0 1 x\n", "could not convert"),
    "bad_face.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "refers to vertex 3 of 3"),
    "garbage.stl": ("hello", "neither ascii nor binary STL"),
    "short.stl": (mesh_files()["binary.stl"][:-60], "truncated: 10 of 12 facets"),
    "short_ascii.stl": (mesh_files()["ascii.stl"][:-200], "truncated: no 'endsolid'"),
    "garbage.off": ("hello", "does not start with 'OFF'"),
    "only.off": ("OFF\n", "truncated"),
    "short.off": (f"OFF\n9 0 0\n{TEXT}", "truncated: 4 of 9 vertices"),
    "counts.off": ("OFF\nmany 0 0\n", "OFF counts"),
    "garbage.pcd": ("hello\nyou\n", "no PCD header"),
    "flat.pcd": (pcd_header("ascii").replace("_ z", "_ w") + pcd_text, "expected x, y and z"),
    "short_ascii.pcd": (pcd_header("ascii") + "1 2 0 0 0 3 4\n", "truncated: 1 of 4"),
    "short_binary.pcd": (pcd_binary()[:-3], "truncated: 3 of 4"),
    "short_compressed.pcd": (pcd_compressed()[:-3], "truncated"),
    "kind.pcd": (pcd_header("zip") + pcd_text, "DATA is 'zip'"),
    "flat.xyz": ("0 1\n1 2\n", "2 columns; expected at least three"),
    "words.xyz": ("0 1 2\nand so on\n", "could not convert"),
    "ragged.xyz": ("0 1 2\n3 4\n", "columns|column"),
    "binary.txt": (b"\0\1\2", "binary data"),
    "short.pts": ("9\n" + TEXT, "truncated: 4 of 9"),
    "comment.txt": ("# nothing here\n", "no points"),
    "nan.xyz": ("0 0 0\nnan 1 2\n1 inf 0\n1 1 1\n", "2 of 4 points have NaN or infinite"),
    "huge.xyz": ("0 0 0\n1e60 1 2\n", "1 of 2 points have NaN or infinite"),
    "equal.xyz": ("1 2 3\n1 2 3\n", "all 2 points are equal"),
    "flat.npy": (npy(np.zeros((4, 2))), r"expected numbers \(N, 3\)"),
    "batch.npy": (npy(np.zeros((2, 4, 3))), r"expected numbers \(N, 3\)"),
    "words.npy": (npy(np.array([["a", "b", "c"]])), r"expected numbers \(N, 3\)"),
    "zero.npy": (npy(np.zeros((0, 3))), "0 points"),
    "short.npy": (npy(POINTS)[:-7], "short.npy: "),
    "garbage.npy": (b"hello", "garbage.npy: "),
    "short.npz": (npz(points=POINTS)[:-30], "short.npz: "),
    "two.npz": (npz(a=POINTS, b=POINTS), "2 arrays"),
    "none.npz": (npz(a=np.zeros(4)), "0 arrays"),
    "no_area.off": ("OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "zero area"),
    "no_facets.stl": (bytes(84), "zero area"),
    "nan_mesh.obj": ("v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", "1 of 3 points have NaN"),
    "garbage.glb": (b"hello you", "garbage.glb: "),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_give_one_line_that_names_the_file(tmp_path: Path, name: str) -> None:
    content, message = BAD_FILES[name]
    path = write(tmp_path / name, content)
    with pytest.raises(UserError, match=message) as caught:
        read_points(path, 32)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "trap.npz", points=np.array([Trap()], dtype=object))
    for name in ("trap.npy", "trap.npz"):
        with pytest.raises(UserError, match=name):
            read_points(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_missing_folder_and_minimum(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_points(tmp_path / "no.ply")
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_points(tmp_path / "folder.ply")
    path = write(tmp_path / "a.xyz", TEXT)
    assert len(read_points(path, minimum=4)) == 4
    with pytest.raises(UserError, match="4 points; expected at least 5"):
        read_points(path, minimum=5)


def test_lzf_back_references() -> None:
    assert lzf_decompress(bytes([2]) + b"abc", 3) == b"abc"
    assert lzf_decompress(bytes([2]) + b"abc" + bytes([(4 << 5) | 0, 2]), 9) == b"abcabcabc"  # runs into itself
    assert lzf_decompress(bytes([0]) + b"x" + bytes([(7 << 5) | 0, 20, 0]), 30) == b"x" * 30  # long form
    for data, size in [(b"\x02ab", 3), (b"\x00x\x20\x05", 4), (b"\x02abc", 4), (b"\x02abc", 2), (b"\xe0", 9)]:
        with pytest.raises(ValueError, match=r"damaged|truncated"):
            lzf_decompress(data, size)


@given(st.binary(min_size=1, max_size=300))
def test_lzf_literals_round_trip(data: bytes) -> None:
    assert lzf_decompress(literal_lzf(data), len(data)) == data


@given(st.sampled_from(SUFFIXES), st.sampled_from(sorted({**POINT_FILES, **mesh_files()})), st.integers(0, 4000))
def test_any_truncation_is_a_user_error_or_a_cloud(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, name: str, cut: int
) -> None:
    content = {**POINT_FILES, **mesh_files()}[name]
    data = content.encode() if isinstance(content, str) else content
    for other in (Path(name).suffix.lower(), suffix):
        path = write(tmp_path_factory.mktemp("cut") / f"a{other}", data[: cut % (len(data) + 1)])
        message, points = "", np.zeros((1, 3), np.float32)
        try:
            points = read_points(path, 16)
        except UserError as error:
            message = str(error)
        assert "\n" not in message
        assert points.shape[1] == 3
        assert np.isfinite(points).all()


FAR = np.array([500000.0, 4649776.0, 120.0])


def test_points_far_from_the_origin_keep_their_shape(tmp_path: Path) -> None:
    near = np.random.default_rng(0).random((200, 3)) * 10
    text = "\n".join(" ".join(f"{v:.6f}" for v in row) for row in near + FAR)
    for name, content in {"a.npy": npy(near + FAR), "a.xyz": text}.items():
        points = read_points(write(tmp_path / name, content))
        assert points.dtype == np.float32
        np.testing.assert_allclose(points - points[0], near - near[0], atol=3e-6)
        assert np.abs(points).max() <= 5.001  # about the middle of the bounding box


def test_meshes_far_from_the_origin_keep_their_shape(tmp_path: Path) -> None:
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in POINTS + FAR] + ["f 1 2 3", "f 1 3 4"]
    points = read_points(write(tmp_path / "a.obj", "\n".join(lines)), 500)
    assert len(np.unique(points, axis=0)) == 500
    assert np.abs(points).max() <= 2


def test_points_that_float32_can_hold_stay_where_they_are() -> None:
    cloud = np.random.default_rng(0).random((200, 3))
    for points in (
        cloud,
        cloud * 1e6,
        cloud + 80,  # steps of 7.6e-6 in an extent of 1
        (cloud * 10 + FAR).astype(np.float32).astype(np.float64),  # the source has rounded them already
        cloud[:0],
    ):
        assert np.array_equal(as_float32(points), points.astype(np.float32))
    assert np.isnan(as_float32(np.array([[0, 0, np.nan], [1e9 + 0.1, 0, 0]]))).sum() == 1
    assert (as_float32(np.full((3, 3), 1e6 + 0.1)) == 0).all()


@pytest.mark.parametrize(
    "text",
    [
        "id,x,y,z\n7,0,1,2\n8,3,4,5\n",
        "label Z Y X\n7 2 1 0\n8 5 4 3\n",
        ",x,y,z,name\n0,0,1,2,a b\n1,3,4,5,\n",  # as pandas writes its index
        '"","X","Y","Z"\n1,0,1,2\n2,3,4,5\n',
        "point id;x;y;z\n7;0;1;2\n8;3;4;5",
        "\tx\ty\tz\n7\t0\t1\t2\n8\t3\t4\t5",
        "x,y,z,rgb\n0 1 2 9 9 9\n3 4 5 9 9 9",
        "x y z\n0,1,2\n3,4,5\n",
        "east,north,up,id\n0,1,2,7\n3,4,5,8\n",
        "x,y,z,\n0, 1, 2,\n3,4,5,\n",
    ],
)
def test_columns_named_in_a_header(tmp_path: Path, text: str) -> None:
    assert read_points(write(tmp_path / "a.csv", text)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x y z\nrow1 0 1 2\nrow2 3 4 5\n", "the header names 3 columns, the lines have 4"),
        ("id,x,y,z\n7,0,1,2\n8,,4,5\n", "could not convert string"),
        ("id,x,y,z\n", "no points"),
    ],
)
def test_columns_that_do_not_fit_their_header(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"a.csv: .*{message}"):
        read_points(write(tmp_path / "a.csv", text))
