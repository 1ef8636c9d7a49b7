"""`mmbio embed` of alignments: features of the query, rows that differ, windows, bad words."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmbio import command, write_fasta
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from mmbio.alignment_features import embed_alignments, spread_rows
from mmbio.alignments import join_alignments
from mmbio.config import MSATransformerConfig
from mmbio.models.msa_transformer import MSATransformer
from mmbio.proteins.msa import Alignment, read_a3m


def tiny(**sizes: int) -> MSATransformer:
    torch.manual_seed(0)
    return MSATransformer(MSATransformerConfig(dim=16, depth=2, heads=2, hidden=16, **sizes)).eval()


def alignment(rows: int, columns: int, seed: int = 0) -> Alignment:
    found = random_rows(rows, columns, seed)
    return Alignment(f"some/{seed}.a3m", tuple(found), tuple(str(i) for i in range(rows)))


@torch.no_grad()
def test_features_are_those_of_the_querys_cells() -> None:
    model, some = tiny().train(), [alignment(5, 20), alignment(1, 7, 1)]
    found = embed_alignments(model, some)
    assert model.training
    model.eval()
    batch = join_alignments([torch.stack([model.vocabulary.encode(row) for row in each.rows]) for each in some])
    for features, cells, mean in zip(found, batch.split(model.encode(batch)), model.embed(batch), strict=True):
        np.testing.assert_allclose(features, cells[0, 1:], atol=1e-5)  # without the begin token
        np.testing.assert_allclose(features.mean(0), mean, atol=1e-5)


def test_rows_that_differ_most_are_read() -> None:
    ids = np.random.default_rng(0).integers(0, 4, (9, 12)).astype(np.int16)
    far = (ids[:, None] != ids[None]).mean(2)
    chosen = [0]
    while len(chosen) < 5:
        chosen.append(max(set(range(9)) - set(chosen), key=lambda row: (far[row, chosen].mean(), -row)))
    assert spread_rows(ids, 5) == sorted(chosen)
    assert spread_rows(ids, 9) == spread_rows(ids, 20) == list(range(9))
    assert spread_rows(ids, 1) == [0]
    same = np.zeros((4, 3), np.int16)
    assert spread_rows(same, 3) == [0, 1, 2]
    two = [pair for pair in combinations(range(9), 2) if 0 in pair]
    assert far[tuple(spread_rows(ids, 2))] == max(far[pair] for pair in two)


def test_deep_and_wide_alignments() -> None:
    model, deep = tiny(positions=16, row_positions=4), alignment(9, 40)
    (found,) = embed_alignments(model, [deep])
    ids = np.array([model.vocabulary.token_ids(row) for row in deep.rows], dtype=np.int16)
    chosen = [deep.rows[row] for row in spread_rows(ids, 4)]
    assert found.shape == (40, 16)
    for part, place in (([row[:15] for row in chosen], slice(0, 3)), ([row[-15:] for row in chosen], slice(-3, None))):
        alone = embed_alignments(model, [Alignment("part", tuple(part), ("",) * 4)])[0]
        np.testing.assert_allclose(found[place], alone[place], atol=1e-5)
    assert not np.allclose(embed_alignments(model, [deep], rows=1)[0], found)
    for rows in (0, 5):
        with pytest.raises(UserError, match=f"{rows} rows; expected 1 to 4"):
            embed_alignments(model, [deep], rows)
    assert embed_alignments(tiny(row_positions=0), [deep], rows=9)[0].shape == (40, 16)
    with torch.no_grad():
        model.encoder.embedding.weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"some/0\.a3m: features that are not finite"):
        embed_alignments(model, [deep])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tiny(row_positions=4).save_pretrained(tmp_path / "run")
    (tmp_path / "msa").mkdir()
    for number in range(3):
        write_a3m(tmp_path / "msa" / f"family{number}.a3m", random_rows(6, 20 + number, number))
    return tmp_path / "run"


def test_command(run: Path, tmp_path: Path) -> None:
    one = tmp_path / "msa" / "family1.a3m"
    said = command("embed", run, f"msa:{tmp_path / 'msa'}", one, "-o", tmp_path / "x.npz")
    assert said.status == 0, said.err
    assert "4 x 16" in said.out
    found = np.load(tmp_path / "x.npz")
    assert found["names"].tolist() == ["family0", "family1", "family2", "family1"]
    np.testing.assert_array_equal(found["embeddings"][1], found["embeddings"][3])
    np.testing.assert_allclose(
        found["embeddings"][1], embed_alignments(tiny(row_positions=4), [read_a3m(one)])[0].mean(0), atol=1e-5
    )
    said = command("embed", run, f"msa:{tmp_path / 'msa'}", "--residues", "--rows", 2, "-o", tmp_path / "r.npz")
    assert said.status == 0, said.err
    residues = np.load(tmp_path / "r.npz")
    assert residues["offsets"].tolist() == [0, 20, 41, 63]
    assert residues["embeddings"].shape == (63, 16)


def test_bad_words(run: Path, pretrained: Path, tmp_path: Path) -> None:
    proteins = write_fasta(tmp_path / "p.fasta", ["MKVL", "MK"])
    for words, said in (
        ((run, proteins), "expected alignments for MSATransformer"),
        ((run, tmp_path / "none.a3m"), "none.a3m"),
        ((run, f"msa:{tmp_path / 'msa'}", "--rows", 9), "9 rows; expected 1 to 4"),
        ((pretrained, proteins, "--rows", 3), "--rows 3: ESM2 reads no alignments"),
        ((pretrained, f"msa:{tmp_path / 'msa'}"), "no set of sequences"),
    ):
        found = command("embed", *words, "-o", tmp_path / "x.npz")
        assert found.status == 2, words
        assert said in found.err, found.err
        assert len(found.err.strip().splitlines()) == 1
    assert not (tmp_path / "x.npz").exists()
