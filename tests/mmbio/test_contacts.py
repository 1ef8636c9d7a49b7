"""Contacts: geometry, features, the regression, its scores, its controls, and the files of structures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_mmbio import command, random_proteins

from core.errors import MissingPackage, UserError
from core.random import generator
from mmbio.config import ESM1bConfig, ESM2Config
from mmbio.contact_probe import (
    by_attention,
    by_distance,
    contact_rows,
    drawn,
    fit_contacts,
    precisions,
    score_contacts,
)
from mmbio.contacts import ContactHead, contact_features
from mmbio.data.sources import load
from mmbio.data.structures import StructureSet, groups, structures
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.proteins.structures import contacts, virtual_beta
from mmbio.sequences import Sequences


def folded(count: int = 8, length: int = 30) -> StructureSet:
    """Hairpins: residue i is beside residue length - 1 - i."""
    places = np.arange(length)
    betas = []
    for _ in range(count):
        turn = length // 2
        x = np.where(places < turn, places, 2 * turn - 1 - places) * 3.9
        betas.append(np.stack([x, (places >= turn) * 5.0, np.zeros(length)], 1))
    texts = ("ACDEFGHIKLMNPQRSTVWY" * 2)[:length]
    names = tuple(f"hairpin {number}" for number in range(count))
    return StructureSet("hairpins", (texts,) * count, names, tuple(betas), tuple(range(4)), tuple(range(4, count)))


class Oracle(ESM2):
    """Its second attention map is the contact map."""

    def attention_maps(self, batch: Sequences) -> list[torch.Tensor]:
        found = []
        for length in batch.lengths.tolist():
            near = torch.from_numpy(contacts(folded().betas[0])[0]).float()
            maps = torch.rand(1, 2, length, length, generator=generator(0, "noise")) / length
            maps[0, 1, 1:-1, 1:-1] += near * (torch.arange(30)[:, None] - torch.arange(30)).abs().ge(6)
            found.append(maps)
        return found


def model(**settings: Any) -> ESM2:
    torch.manual_seed(0)
    return ESM2(ESM2Config(16, 2, 2, **settings)).eval()


def test_virtual_beta_carbons() -> None:
    """Of an ideal residue: 1.5 angstrom from CA, tetrahedral to N and C, on the side of an L amino acid."""
    n, ca, c = np.array([1.458, 0, 0]), np.zeros(3), np.array([-0.5444, 1.4243, 0])
    beta = virtual_beta(n, ca, c)
    assert np.linalg.norm(beta - ca) == pytest.approx(1.53, abs=0.03)
    for atom in (n, c):
        cosine = beta @ atom / np.linalg.norm(beta) / np.linalg.norm(atom)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(110, abs=3)
    assert np.cross(n, c) @ beta > 0  # N, C and the side chain turn to the left, as in L amino acids
    turned = virtual_beta(np.stack([n, n]), np.stack([ca, ca]), np.stack([c, c]))
    assert np.allclose(turned, beta)


def test_contacts_of_places() -> None:
    beta = np.array([[0, 0, 0], [7.9, 0, 0], [8.1, 0, 0], [np.nan, 0, 0]])
    near, known = contacts(beta)
    assert near.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert known[:3, :3].all()
    assert not known[3].any()
    assert not known[:, 3].any()


def test_features_are_symmetric_and_corrected() -> None:
    maps = torch.rand(2, 3, 7, 7, generator=generator(0)).softmax(-1)
    features = contact_features(maps)
    assert features.shape == (6, 5, 5)
    torch.testing.assert_close(features, features.transpose(1, 2))
    torch.testing.assert_close(features.sum(-1), torch.zeros(6, 5), atol=1e-5, rtol=0)  # what the correction is for
    assert contact_features(maps, before=0, after=0).shape == (6, 7, 7)
    assert contact_features(torch.zeros(1, 1, 5, 5)).isfinite().all()


def test_precision_by_hand() -> None:
    length = 10
    near, known = np.zeros((length, length), bool), np.ones((length, length), bool)
    near[0, 6] = near[0, 7] = near[0, 3] = True
    score = np.zeros((length, length))
    score[0, 6], score[0, 7], score[1, 8], score[0, 3] = 5, 4, 4.5, 9  # 3 apart: not looked at
    ten, five, two = precisions(score, near, known, 6, generator(0)) or []
    assert (ten, five, two) == (0.2, 0.4, 0.5)
    known[0] = known[:, 0] = False
    assert (precisions(score, near, known, 6, generator(0)) or [])[0] == 0
    assert precisions(score, near, known, 24, generator(0)) is None


def test_a_map_that_shows_contacts_is_found() -> None:
    data, oracle = folded(), Oracle(ESM2Config(4, 1, 2))
    head = fit_contacts(oracle, data)
    weight = head.regression.weight[0]
    assert weight[1] > 0.5
    assert weight[0].abs() < 0.1 * weight[1]
    scores = score_contacts(data, by_attention(oracle, head, data))
    assert scores[6][2] > 0.9  # P@L/5
    assert set(scores) == {6, 12, 24}
    again = fit_contacts(oracle, data)
    assert torch.equal(again.regression.weight, head.regression.weight)


def test_rows_controls_and_given_regressions() -> None:
    data, oracle = folded(), Oracle(ESM2Config(4, 1, 2))
    head = ContactHead.of(torch.tensor([[0.0, 9.0]]), torch.tensor([-3.0]), 2, "given")
    rows = contact_rows([oracle, oracle], data, heads=[head, head])
    found = {(row.subject, row.separation): row.precisions for row in rows}
    subjects = list(dict.fromkeys(row.subject for row in rows))
    assert subjects == ["pretrained", "pretrained, its own regression", "untrained", "distance alone"]
    assert found["pretrained", 6][0].count == 2
    assert found["pretrained", 6][2].mean > 0.9
    assert found["distance alone", 6][2].mean < found["pretrained", 6][2].mean
    assert {row.subject for row in contact_rows([oracle], data, controls=False)} == {"pretrained"}


def test_the_command(pretrained: Path, tmp_path: Path) -> None:
    said = command("probe", pretrained, "--data", arrays(tmp_path / "a.npz"), "--out", tmp_path / "a.json")
    assert said.status == 0, said.err
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["probe"] for row in rows[:3]] == [f"contacts {apart} or more apart" for apart in (6, 12, 24)]
    assert list(rows[0]["scores"]) == ["P@L", "P@L/2", "P@L/5"]
    assert {row["features"] for row in rows} == {"pretrained", "untrained", "distance alone"}
    said = command("probe", pretrained, "--data", arrays(tmp_path / "a.npz"), "--methods", "knn")
    assert said.status == 2
    said = command("pretrain", "esm2_8m", "--data", arrays(tmp_path / "a.npz"), "--out", tmp_path / "run")
    assert "no set of sequences" in said.err


def test_the_distance_alone_is_the_frequency_of_contacts() -> None:
    data = folded()
    share = by_distance(data)(0)
    near = [contacts(data.betas[i])[0] for i in data.fit]
    for apart in (6, 7, 15):
        rows = np.arange(30 - apart)
        expected = np.mean([n[rows, rows + apart] for n in near])
        assert share[0, apart] == share[apart, 0] == pytest.approx(expected)
    assert share[0, 3] == 0  # too near to be counted


def test_long_sequences_are_cropped_to_the_positions() -> None:
    data = folded()
    small = ESM1b(ESM1bConfig(8, 1, 2, positions=20)).eval()
    predict = by_attention(small, fit_contacts(small, data), data)
    assert predict(5).shape == (18, 18)
    assert 24 not in score_contacts(data, predict)


def test_a_head_is_saved_beside_the_model(tmp_path: Path) -> None:
    network = model()
    network.save_pretrained(tmp_path)
    head = fit_contacts(network, folded())
    head.save(tmp_path)
    again = ContactHead.load(tmp_path)
    assert torch.equal(again.regression.weight, head.regression.weight)
    assert isinstance(ESM2.from_pretrained(tmp_path), ESM2)


def arrays(path: Path, **change: Any) -> str:
    data = folded()
    ca = np.concatenate(data.betas)
    xyz = np.stack([ca + np.array([1.458, 0, 0]), ca, ca + np.array([-0.5444, 1.4243, 0])], 1).astype(np.float32)
    held: dict[str, NDArray | None] = {
        "seq": np.array(random_proteins(8, shortest=30, longest=30)),
        "xyz": xyz,
        "offset": np.arange(0, len(xyz) + 1, 30),
        "pdb": np.array([f"p{number}" for number in range(8)]),
        "partition": np.array(["a_val", "a_test|b_val"] * 4),
    }
    np.savez(path, **{name: array for name, array in {**held, **change}.items() if array is not None})
    return f"structures:{path}"


def test_arrays_of_structures(tmp_path: Path) -> None:
    data = load(arrays(tmp_path / "a.npz"))
    assert (len(data), data.fit, data.scored) == (8, (0, 2, 4, 6), (1, 3, 5, 7))
    near = contacts(data.betas[0])[0]
    assert np.array_equal(near, contacts(folded().betas[0])[0])
    bare = load(arrays(tmp_path / "b.npz", partition=None, pdb=None))
    assert bare.fit == (0, 4)
    assert bare.names[2] == "structure 2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"xyz": None}, "has no array 'xyz'"),
        ({"xyz": np.zeros((240, 3))}, "expected .residues, atoms"),
        ({"offset": np.array([0, 240])}, "offset does not cut 240 residues into 8"),
        ({"offset": np.array([0, 29, *range(60, 241, 30)])}, "p0 has 30 residues and 29 places"),
        ({"seq": np.array(["A" * 29 + "1"] * 8)}, "p0: character '1' at place 30"),
        ({"partition": np.array(["test"] * 8)}, "expected one to fit on and one to score"),
        ({"partition": np.array(["test"] * 9)}, r"partition is <U4 .9,.; expected texts .8,."),
        ({"pdb": np.array(["a"])}, r"pdb is <U1 .1,.; expected texts .8,., one a sequence"),
        ({"seq": np.array("MKV")}, r"seq is <U3 ..; expected texts .N,."),
        ({"seq": np.zeros(8)}, r"seq is float64 .8,.; expected texts .N,."),
        ({"offset": np.arange(0, 241, 30.0)}, "offset is float64"),
        ({"offset": np.arange(0, 241, 30)[None]}, r"offset is int64 .1, 9."),
        ({"xyz": np.full((240, 3, 3), np.nan)}, "of no structure to fit on the place of any residue is known"),
        ({"xyz": np.full((240, 3, 3), "1")}, "xyz is <U1"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(arrays(tmp_path / "a.npz", **change))


def test_files_that_are_no_structures(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK")
    (tmp_path / "empty.cif").write_bytes(b"")
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    for name, said in (("empty.cif", "not readable as a PDB or mmCIF|no protein chain"), ("one.npz", "one array")):
        with pytest.raises(UserError, match=said):
            structures(str(tmp_path / name))
    (tmp_path / "empty.cif").unlink()
    for path, said in (("bad.npz", "not readable"), ("", "no structure in it"), ("none.pdb", "no such file")):
        with pytest.raises(UserError, match=said):
            structures(str(tmp_path / path))
    np.savez(tmp_path / "pickled.npz", seq=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"not readable as a \.npz of plain arrays"):
        structures(str(tmp_path / "pickled.npz"))


def pdb(path: Path, residues: tuple[str, ...] = ("ALA", "LEU")) -> Path:
    """Hairpins of one kind of residue a chain, the first a glycine, the second without a beta carbon."""
    lines, serial = [], 1
    for chain, kind, ca in zip("ABCDEF", residues, folded().betas, strict=False):
        for place, at in enumerate(ca, 1):
            atoms = {"N": (1.458, 0, 0), "CA": (0, 0, 0), "C": (-0.5444, 1.4243, 0), "CB": (-0.5, -0.8, 1.2)}
            name = "GLY" if place == 1 else kind
            for atom, shift in atoms.items():
                if atom == "CB" and place < 3:
                    continue
                x, y, z = at + shift
                lines.append(
                    f"ATOM  {serial:5d}  {atom:<3s} {name} {chain}{place:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00"
                    f"           {atom[0]}"
                )
                serial += 1
        lines.append(f"TER   {serial:5d}      {kind} {chain}{len(ca):4d}")
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def test_pdb_and_mmcif_files(tmp_path: Path) -> None:
    gemmi: Any = pytest.importorskip("gemmi")
    pdb(tmp_path / "one.pdb")
    gemmi.read_structure(str(pdb(tmp_path / "two.pdb", ("SER", "VAL")))).make_mmcif_document().write_file(
        str(tmp_path / "two.cif")
    )
    (tmp_path / "two.pdb").unlink()
    data = structures(str(tmp_path))
    assert data.names == ("one_A", "one_B", "two_A", "two_B")
    assert data.texts == tuple("G" + letter * 29 for letter in "ALSV")
    assert (data.fit, data.scored) == ((0,), (1, 2, 3))
    assert all(np.isfinite(beta).all() for beta in data.betas)
    ca = folded().betas[0]
    assert np.allclose(data.betas[0][2:], ca[2:] + np.array([-0.5, -0.8, 1.2]), atol=2e-3)
    assert np.allclose(np.linalg.norm(data.betas[0][:2] - ca[:2], axis=1), 1.53, atol=0.03)
    (tmp_path / "one.pdb").write_text("nothing")
    with pytest.raises(UserError, match=r"one\.pdb: no protein chain|one\.pdb: not readable"):
        structures(str(tmp_path))


def test_equal_and_similar_chains_are_not_parted(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    homodimer = pdb(tmp_path / "one.pdb", ("ALA", "ALA"))
    with pytest.raises(UserError, match=r"2 structure.s., 1 different sequence.s.; expected one to fit on"):
        structures(str(homodimer))
    data = structures(str(pdb(tmp_path / "one.pdb", ("ALA", "LEU", "ALA", "LEU", "ALA"))))
    assert (data.fit, data.scored) == ((0, 2, 4), (1, 3))
    first, second = random_proteins(2, shortest=60, longest=60)
    texts = [first, second, first[:50] + "W" * 10, second[:50] + "W" * 10, first]
    assert groups(texts) == ([0, 1, 0, 1, 0], "")
    found, said = groups([first, first[:50] + "W" * 10, first])
    assert (found, "all sequences are similar" in said) == ([0, 1, 0], True)


def test_chains_to_fit_on_that_are_scored_are_left_out(tmp_path: Path) -> None:
    texts = random_proteins(8, shortest=30, longest=30)
    texts[2] = texts[1]
    data = load(arrays(tmp_path / "a.npz", seq=np.array(texts)))
    assert (len(data), data.fit, data.scored) == (7, (0, 3, 5), (1, 2, 4, 6))
    assert data.names[2] == "p3"
    assert data.skipped == (f"{tmp_path / 'a.npz'}: 1 to fit on, whose sequences are scored",)


def test_without_gemmi_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemmi", None)
    with pytest.raises(MissingPackage, match="gemmi: pip install"):
        structures(str(pdb(tmp_path / "one.pdb")))


def test_draws_of_structures() -> None:
    assert drawn(range(5), 20, 0) == [0, 1, 2, 3, 4]
    assert len(drawn(range(50), 20, 0)) == 20
    assert drawn(range(50), 20, 0) == drawn(range(50), 20, 0) != drawn(range(50), 20, 1)


def test_antibodies(shared: Path) -> None:
    data = load(f"structures:{shared}/data/proteins/sabdab_vh_backbone.npz")
    assert len(data) == 1484
    assert not set(data.fit) & set(data.scored)
    near, known = contacts(data.betas[data.fit[0]])
    apart = np.triu(known, 6)
    assert 1 < near[apart].sum() / len(near) < 4  # contacts a residue, as in any globular protein
    assert 0.02 < score_contacts(data, by_distance(data))[6][0] < 0.3
