"""Alignments of files, as samples, and their masks."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from core.random import generator
from mmbio.alignments import Alignments, join_alignments, profile_of
from mmbio.config import MSADataConfig
from mmbio.data.msa import MSAData, MSASet, split_alignments
from mmbio.data.sources import load, load_texts
from mmbio.msa_mask import CellCorruption, draw_cells, hidden_cells, masked_cells, replacement_chances
from mmbio.proteins.alphabet import AF2, ESM_MSA
from mmbio.proteins.msa import read_a3m, read_alignment

CORRUPTION = CellCorruption(AF2.mask_id, AF2.drawn_ids)


def test_a3m(tmp_path: Path) -> None:
    path = tmp_path / "x.a3m"
    path.write_text(
        "#name\n>ss_pred\nHHEE\n>query some words\nAC\r\nDE\n>row|1 x\nA-aa.DE\n>\n--jJ*\n>query_consensus\nACDE\n"
    )
    found = read_a3m(path)
    assert found.rows == ("ACDE", "A-DE", "--XX")
    assert found.names == ("query", "row|1", "")
    assert (len(found), found.width) == (3, 4)


def test_aligned_fasta_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "x.fasta.gz").write_bytes(gzip.compress(b">a\nAC-e\n>b\nA..E\n"))
    assert read_alignment(tmp_path / "x.fasta.gz").rows == ("AC-E", "A--E")
    with pytest.raises(UserError, match=r"expected an alignment, \.a3m or \.fasta"):
        read_alignment(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", r"x\.a3m: no row; expected an alignment"),
        ("ACD\n", r"x\.a3m, line 1: 'ACD' before the first >"),
        (">a\nACD\n>b\nAC\n", r"x\.a3m, line 3: b has 2 columns, the query has 3; expected rows of equal length"),
        (">a\nACD\n>\nACDE\n", r"x\.a3m, line 3: row 2 has 4 columns"),
        (">a\n>b\n", r"x\.a3m, line 1: the query, which is the first row, has no residues"),
        (">a\nacd\n", "has no residues"),
        (">a\nA1D\n", r"x\.a3m, line 2: a: character '1' at place 2 is no residue and no gap"),
        (">a\nACD\n>b\nAa\n Cd1D\n", r"x\.a3m, line 5: b: character '1' at place 4 is no residue"),
        (">a\nAßD\n", r"x\.a3m, line 2: a: character 'ß' at place 2"),
    ],
)
def test_bad_alignments(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "x.a3m").write_text(content)
    with pytest.raises(UserError, match=expected):
        read_a3m(tmp_path / "x.a3m")


def test_letters_of_aligned_fasta_are_ascii(tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_text(">a\nACD\n>b\nAﬁ\n")
    with pytest.raises(UserError, match=r"x\.fasta, line 4: b: character 'ﬁ' at place 2"):
        read_alignment(tmp_path / "x.fasta")


def test_bad_alignments_of_a_folder_are_counted_if_asked(tmp_path: Path) -> None:
    write_a3m(tmp_path / "good.a3m", ["ACD", "A-D"])
    (tmp_path / "bad.a3m").write_text(">a\nACD\n>b\nAC\n")
    (tmp_path / "cut.a3m.gz").write_bytes(gzip.compress(b">a\nACD\n")[:-5])
    data = load(f"msa_skip:{tmp_path}")
    assert [alignment.rows for alignment in data.alignments] == [("ACD", "A-D")]
    assert ["bad.a3m, line 3: b has 2 columns" in data.skipped[0], "truncated" in data.skipped[1]] == [True, True]
    with pytest.raises(UserError, match=r"bad\.a3m, line 3"):
        load(f"msa:{tmp_path}")
    with pytest.raises(UserError, match=r"bad\.a3m, line 3"):  # of a file nothing would be left
        load(f"msa_skip:{tmp_path / 'bad.a3m'}")
    (tmp_path / "good.a3m").unlink()
    with pytest.raises(UserError, match="no alignments; 2 records were left out, the first: "):
        load(f"msa_skip:{tmp_path}")


def test_real_alignments(shared: Path) -> None:
    data = load(f"msa:{shared / 'data/proteins/msa'}")
    assert isinstance(data, MSASet)
    assert len(data) == 9
    depths = sorted(len(a) for a in data.alignments)
    assert (depths[0], depths[-1]) == (17, 1631)
    with pytest.raises(UserError, match="no set of sequences"):
        load_texts(f"msa:{shared / 'data/proteins/msa'}")


def test_no_alignment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no alignment in it"):
        load(f"msa:{tmp_path}")


def test_the_classes_are_those_of_alphafold() -> None:
    assert AF2.token_ids("ARNDCQEGHILKMFPSTWYVX-") == list(range(22))
    assert (len(AF2), AF2.mask_id, AF2.around) == (23, 22, 0)
    assert AF2.token_ids("BZUOJ.") == AF2.token_ids("DECXX-")
    assert ESM_MSA.around == ESM_MSA.before == 1
    assert ESM_MSA.encode("A-").tolist() == [0, 5, 30]


def test_replacements_have_the_official_distribution(shared: Path) -> None:
    golden = np.load(shared / "golden/openfold_masked_msa.npz")
    ids = torch.tensor(golden["in/msa"])
    profile = profile_of(ids, 22)
    torch.testing.assert_close(profile, torch.tensor(golden["in/hhblits_profile"]), rtol=0, atol=1e-6)
    chances = replacement_chances(ids, profile, 23, CORRUPTION)
    torch.testing.assert_close(chances, torch.tensor(golden["out/categorical_probs"]), rtol=0, atol=1e-6)
    torch.testing.assert_close(replacement_chances(ids, profile_of(ids, 23), 23, CORRUPTION), chances)
    draws = torch.tensor(golden["draw/uniform"])
    hidden = hidden_cells(draws.flatten(), torch.ones(24 * 40, dtype=torch.bool), 0.15)
    assert torch.equal(hidden.view(24, 40), torch.tensor(golden["out/bert_mask"]).bool())


def test_draws_follow_their_distribution() -> None:
    chances = torch.tensor([0.5, 0.0, 0.2, 0.3])
    draws = (torch.arange(1000) + 0.5) / 1000
    found = draw_cells(chances.expand(1000, 4), draws).bincount(minlength=4)
    assert found.tolist() == [500, 0, 200, 300]


def batch_of(data: MSAData, indices: list[int], seed: int = 0) -> Alignments:
    return data.collate([data.sample(i, generator(seed, i)) for i in indices])


@pytest.fixture
def small(tmp_path: Path) -> MSASet:
    for number, (rows, columns) in enumerate([(30, 12), (3, 40), (1, 7), (8, 20)]):
        write_a3m(tmp_path / f"{number}.a3m", random_rows(rows, columns, number))
    return load(f"msa:{tmp_path}")


@pytest.mark.parametrize("vocabulary", [AF2, ESM_MSA], ids=["af2", "esm"])
def test_masks_of_cells(small: MSASet, vocabulary: object) -> None:
    assert vocabulary in (AF2, ESM_MSA)
    words = AF2 if vocabulary is AF2 else ESM_MSA
    data = MSAData(small, [0, 1, 2, 3], words, 64, 64)
    batch = batch_of(data, [0, 1, 2, 3])
    corruption = CellCorruption(words.mask_id, words.drawn_ids)
    usable = words.hideable_ids[batch.ids]
    draws = [generator(i) for i in range(4)]
    mask = masked_cells(batch, usable, len(words), 0.15, corruption, draws)
    assert (mask.counts >= 1).all()
    assert not (mask.hidden & ~usable).any()
    assert usable.sum() == sum(rows * columns for rows, columns in [(30, 12), (3, 40), (1, 7), (8, 20)])
    alone = batch_of(data, [1])
    own = masked_cells(alone, words.hideable_ids[alone.ids], len(words), 0.15, corruption, [generator(1)])
    start, end = batch.offsets[1:3].tolist()
    assert torch.equal(mask.hidden[start:end], own.hidden)  # a draw of an alignment depends on no other


def test_shares_of_replacements() -> None:
    ids = torch.tensor([AF2.token_ids(row) for row in random_rows(200, 100)])
    batch = join_alignments([ids])
    usable = torch.ones(len(batch.ids), dtype=torch.bool)
    mask = masked_cells(batch, usable, 23, 0.15, CORRUPTION, generator(0))
    assert 0.14 < mask.hidden.float().mean() < 0.16
    written, own = mask.written, batch.ids[mask.hidden]
    assert 0.67 < (written == AF2.mask_id).float().mean() < 0.73
    assert 0.12 < (written == own).float().mean() < 0.20  # 10 % the same, and what the profile gives back
    assert (written == AF2.ids["-"]).any()  # gaps are hidden and come from profiles


def test_samples_keep_the_query_and_crop(small: MSASet) -> None:
    data = MSAData(small, [0, 1], ESM_MSA, 5, 10)
    first, again, other = (data.sample(0, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    assert first.ids.shape == (5, 11)
    assert first.profile.shape == (11, 33)
    assert (first.ids[:, 0] == 0).all()
    query = small.alignments[0].rows[0]
    assert ESM_MSA.decode(first.ids[0]) in query
    rows = {ESM_MSA.decode(row) for row in first.ids}
    begin = query.index(ESM_MSA.decode(first.ids[0]))
    assert rows <= {row[begin : begin + 10] for row in small.alignments[0].rows}
    column = [row[begin] for row in small.alignments[0].rows]
    assert first.profile[1, ESM_MSA.ids["-"]] == pytest.approx(column.count("-") / 30)
    assert data.lengths.tolist() == [55, 33]


def test_packed_alignments() -> None:
    batch = join_alignments([torch.arange(6).view(2, 3), torch.arange(4).view(1, 4)])
    assert batch.shapes == [(2, 3), (1, 4)]
    assert batch.offsets.tolist() == [0, 6, 10]
    assert batch.columns.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 3]
    assert batch.rows.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert [part.tolist() for part in batch.split()] == [[[0, 1, 2], [3, 4, 5]], [[0, 1, 2, 3]]]
    with pytest.raises(ValueError, match="expected one a cell"):
        Alignments(torch.arange(5), [(2, 3)])


def test_held_out_alignments(small: MSASet) -> None:
    train, held = split_alignments(small, MSADataConfig(held_out=0.25))
    assert len(held) == 1
    assert sorted(train + held) == [0, 1, 2, 3]
