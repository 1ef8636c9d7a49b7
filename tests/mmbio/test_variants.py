"""Effects of variants: masked and wild-type marginals by hand, windows, files of scans and bad ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmbio import command

from core.errors import UserError
from mmbio.config import ESM1bConfig, ESM2Config
from mmbio.data.sources import load
from mmbio.data.variants import VariantSet, variants
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM, STANDARD
from mmbio.proteins.blosum import blosum62
from mmbio.sequences import join
from mmbio.variants import expected, score_variants, substitution, variant_rows

WILD = "MKTAYIAKQR"


def scan(folder: Path, text: str, wild: str = WILD) -> str:
    (folder / "scan.csv").write_bytes(text.encode())
    (folder / "scan.fasta").write_text(f">wild\n{wild}\n>another\nGGG\n")
    return str(folder / "scan.csv")


def model() -> ESM2:
    torch.manual_seed(0)
    return ESM2(ESM2Config(16, 2, 2)).eval()


def test_a_scan_as_it_comes(tmp_path: Path) -> None:
    text = "\ufeff,mutant,score\r\n0,K2A,1.5\r\n1,M1G:T3V,-2\r\n2,wt,0\r\n3,A4A,\r\n4,Y5*,9\r\n\r\n5,R10=,NaN\r\n"
    data = variants(scan(tmp_path, text))
    assert data.wild_type == WILD
    assert data.names == ("K2A", "M1G:T3V", "wt", "A4A", "R10=")
    assert data.mutations == ((("K", 1, "A"),), (("M", 0, "G"), ("T", 2, "V")), (), (), ())
    assert np.array_equal(data.scores, [1.5, -2, 0, np.nan, np.nan], equal_nan=True)
    assert data.skipped == (f"{tmp_path}/scan.csv, line 6: Y5* is truncated",)


def test_packed_scans(tmp_path: Path) -> None:
    plain = variants(scan(tmp_path, "mutant,score\nK2A,1.5\nM1G,-2\n"))
    for name in ("scan.csv", "scan.fasta"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    assert variants(str(tmp_path / "scan.csv.gz")).mutations == plain.mutations


def test_numbers_that_do_not_begin_with_one(tmp_path: Path) -> None:
    path = scan(tmp_path, "mutant,score,other\nK25A,1,7\nR33G,2,8\n")
    data = load(f"variants:{path}")
    assert data.mutations == ((("K", 1, "A"),), (("R", 9, "G"),))
    other = tmp_path / "w.fa"
    other.write_text(">w\n" + WILD + "\n")
    assert load(f"variants:{tmp_path}/scan.csv,{other},other").scores.tolist() == [7, 8]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mutant,score\nK2A,1\nG3A,2\n", r"scan\.csv, line 3: G3A says G3, and .*scan\.fasta has T there"),
        ("mutant,score\nK99A,1\nW3A,2\n", r"scan\.csv, line 3: W3A says W3, and .* has T there"),
        ("mutant,score\nK2A,1\nK99A:M1G,2\n", r"line 3: K99A:M1G says K99, and .* has no residue there"),
        ("mutant,score\nK12A,1\n", "at several places"),
        ("mutant,score\nK2A,1\nT2A,1\n", r"scan\.csv, line 3: T2A is at 2, where others have K"),
        ("mutant,score\nK2A,1\nk3a,1\n", r"scan\.csv, line 3: 'k3a' is no variant"),
        ("mutant,score\nK2A:K2G,1\n", "line 2: .* twice"),
        ("mutant,score\nK2A,high\n", r"scan\.csv, line 2: score 'high'; expected a number"),
        ("mutant,score\nK2A,inf\n", r"line 2: score 'inf'; expected a number"),
        ('mutant,score\nK2A,"' + "1" * 200_000 + '"\n', r"scan\.csv, line 2: field larger"),
        ("mutant,fit\nK2A,1\n", "no column 'score' or 'DMS_score' or 'fitness' for the scores; it has mutant, fit"),
        ("a,b\n1,2\n", "no column 'mutant'"),
        ("", "no rows"),
        ("mutant,score\n", "no rows"),
        ("mutant,score\nK2*,1\n", "no variants"),
        ("mutant,score\nwt,1\n", "no variant but the wild type"),
    ],
)
def test_scans_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        variants(scan(tmp_path, text))


def test_files_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "scan.csv").write_text("mutant,score\nK2A,1\n")
    with pytest.raises(UserError, match=r"no wild type; expected .*scan\.fasta"):
        variants(f"{tmp_path}/scan.csv")
    with pytest.raises(UserError, match=r"expected scan\.csv,wild_type\.fasta,column"):
        variants("a,b,c,d")
    (tmp_path / "scan.fasta").write_text(">w\nM1\n")
    with pytest.raises(UserError, match=r"scan\.fasta, line 2: w: character '1' at place 2"):
        variants(f"{tmp_path}/scan.csv")


def data_of(*rows: tuple[tuple[str, int, str], ...], wild: str = WILD) -> VariantSet:
    from mmbio.data.variants import Mutation

    changes = tuple(tuple(Mutation(*change) for change in row) for row in rows)
    return VariantSet("scan", wild, changes, ("",) * len(rows), np.arange(len(rows), dtype=float))


@torch.no_grad()
def test_marginals_by_hand() -> None:
    network = model()
    data = data_of((("K", 1, "A"),), (("T", 2, "V"),), (("K", 1, "A"), ("T", 2, "V")), ())
    ids = ESM.encode(WILD)
    by_hand = []
    for old, place, new in (("K", 1, "A"), ("T", 2, "V")):
        hidden = ids.clone()
        hidden[place + 1] = ESM.mask_id
        chances = network.logits(join([hidden]))[place + 1].log_softmax(-1)
        by_hand.append(float(chances[ESM.ids[new]] - chances[ESM.ids[old]]))
    found = score_variants(network, data)
    assert found == pytest.approx([*by_hand, sum(by_hand), 0.0], abs=1e-5)
    chances = network.logits(join([ids])).log_softmax(-1)
    plain = score_variants(network, data, "wild_type")
    assert plain[0] == pytest.approx(float(chances[2, ESM.ids["A"]] - chances[2, ESM.ids["K"]]), abs=1e-5)
    assert plain[0] != pytest.approx(found[0], abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("method", ["masked", "wild_type"])
def test_a_long_protein_is_read_through_windows(method: str) -> None:
    torch.manual_seed(0)
    network = ESM1b(ESM1bConfig(16, 1, 2, positions=9)).eval()
    text = "".join(STANDARD) + "MKTAY"
    rows = expected(network, text, [0, 3, 12, 24], method)  # type: ignore[arg-type]
    for place, begin, row in zip([0, 3, 12, 24], [0, 0, 9, 18], rows, strict=True):
        window = ESM.encode(text[begin : begin + 7])
        if method == "masked":
            window[1 + place - begin] = ESM.mask_id
        by_hand = network.logits(join([window]))[1 + place - begin].log_softmax(-1)
        torch.testing.assert_close(row, by_hand)


def test_many_places_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model()
    whole = expected(network, WILD, range(10), "masked")
    monkeypatch.setattr("mmbio.variants.BATCH_TOKENS", 30)
    for row, other in zip(expected(network, WILD, range(10), "masked"), whole, strict=True):
        torch.testing.assert_close(row, other)


def test_blosum62_is_a_symmetric_matrix() -> None:
    table = blosum62()
    assert len(table) == 400
    assert {a for a, _ in table} == set(STANDARD)
    assert all(table[a, b] == table[b, a] for a, b in table)
    assert sum(table[a, a] for a in STANDARD) == 116
    assert all(table[a, a] > table[a, b] for a, b in table if a != b)
    # Its scale with the amino acid frequencies of Robinson and Robinson (1991) is published: lambda is 0.3176.
    parts = {
        "A": 78.05, "R": 51.29, "N": 44.87, "D": 53.64, "C": 19.25, "Q": 42.64, "E": 62.95, "G": 73.77, "H": 21.99, "I": 51.42,
        "L": 90.19, "K": 57.44, "M": 22.43, "F": 38.56, "P": 52.03, "S": 71.20, "T": 58.41, "W": 13.30, "Y": 32.16, "V": 64.41,
    }  # fmt: skip
    total = sum(parts.values())
    frequency = np.array([parts[a] / total for a in STANDARD])
    matrix = np.array([[table[a, b] for b in STANDARD] for a in STANDARD])
    low, high = 0.1, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        above = frequency @ np.exp(middle * matrix) @ frequency > 1
        low, high = (low, middle) if above else (middle, high)
    assert low == pytest.approx(0.3176, abs=5e-5)


def test_the_control_and_the_rows() -> None:
    data = data_of((("K", 1, "R"),), (("K", 1, "W"),), (("K", 1, "R"), ("T", 2, "S")), ())
    assert substitution(data).tolist() == [-3, -8, -7, 0]
    rows = variant_rows([model(), model()], data)
    assert [(row.subject, row.method, row.spearman.count) for row in rows] == [
        ("pretrained", "masked marginals", 2),
        ("pretrained", "wild-type marginals", 2),
        ("untrained", "masked marginals", 2),
        ("untrained", "wild-type marginals", 2),
        ("BLOSUM62", "substitution", 1),
    ]
    assert len(variant_rows([model()], data, controls=False)) == 2


def test_the_command(pretrained: Path, tmp_path: Path) -> None:
    path = scan(tmp_path, "mutant,score\nK2A,1\nT3V,2\nA4G,0.5\n")
    said = command("probe", pretrained, "--data", f"variants:{path}", "--out", tmp_path / "a.json")
    assert said.status == 0, said.err
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["features"] for row in rows][::2] == ["pretrained", "untrained", "BLOSUM62"]
    assert "Spearman" in said.out


def test_beta_lactamase(shared: Path) -> None:
    folder = shared / "data/proteins"
    word = f"variants:{folder}/variant_effect/BLAT_ECOLX_Ranganathan2015.csv"
    data = load(f"{word},{folder}/msa/P62593.fasta,2500")
    assert len(data) == 4996
    assert data.mutations[0] == (("H", 23, "C"),)
    from core.evaluation.metrics import spearman

    assert spearman(substitution(data), data.scores) == pytest.approx(0.268, abs=0.001)
    with pytest.raises(UserError, match="no wild type"):
        load(word)
