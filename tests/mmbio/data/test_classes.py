"""Enzymes of CLEAN and locations of MultiLoc: tiny trees, and the real files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from tiny_mmbio import random_proteins

from core.errors import UserError
from mmbio.data.clean_ec import first_digits
from mmbio.data.multiloc import Located, location
from mmbio.data.sources import load
from mmbio.proteins.clusters import cluster

HEAD = "Entry\tEC number\tSequence\n"


def write_ec(folder: Path, test: str = "T1\t1.1.1.1\tWWWW\nT2\t2.1.1.1\tMKV\n") -> Path:
    texts = random_proteins(20)
    rows = "".join(f"E{n}\t{n % 7 + 1}.2.{n}.-\t{text}\n" for n, text in enumerate(texts))
    (folder / "split10.csv").write_text(HEAD + rows + "A\t3.4.22.44;2.7.7.48\tMMMM\nB\t2.7.7.48;2.1.1.n1\tMKV\n")
    (folder / "new.csv").write_text(HEAD + test)
    return folder


def test_enzymes(tmp_path: Path) -> None:
    data = load(f"clean_ec:{write_ec(tmp_path)}")
    assert len(data) == 22
    assert data.names[-2:] == ("B", "T1")
    assert data.labels[-2:].tolist() == [1, 0]
    assert data.test.tolist() == [21]
    assert len(data.validation) == 2
    assert [line.split(": ", 1)[1] for line in data.skipped] == [
        "A: classes 2, 3",
        "T2: its sequence is in split10.csv",
    ]


def test_packed_tables(tmp_path: Path) -> None:
    plain = load(f"clean_ec:{write_ec(tmp_path)}")
    (tmp_path / "new.csv.gz").write_bytes(gzip.compress((tmp_path / "new.csv").read_bytes()))
    (tmp_path / "new.csv").unlink()
    assert load(f"clean_ec:{tmp_path}").texts == plain.texts


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("T\t8.1\tMK\n", r"new.csv, line 2: EC number '8.1'; expected one that begins with 1 to 7"),
        ("T\t\tMK\n", r"new.csv, line 2: EC number ''"),
        ("T\t1.1\tM?K\n", r"new.csv, line 2: T: character '\?'"),
        ("T\t1.1\n", r"new.csv, line 2: 2 cells; expected 3"),
        ("T\t1.1\tMK\nT\t1.1\tMV\n", r"new.csv, line 3: 'T' is there already and says something else \(.*line 2\)"),
    ],
)
def test_bad_enzymes(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(f"clean_ec:{write_ec(tmp_path, row)}")


def test_first_digits() -> None:
    assert first_digits("3.5.2.6", "") == {3}
    assert first_digits("2.5.1.18; 1.8.5.1;1.20.4.2", "") == {1, 2}


def test_clusters_by_hand() -> None:
    base = random_proteins(1, shortest=60, longest=60)[0]
    changed = base[:30] + "W" * 30
    other = random_proteins(2, seed=5, shortest=60, longest=60)[1]
    found = cluster([base, other, changed, "MK", "MK"])
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 4  # what is too short for a word of five is alone
    assert len(set(cluster([base, other, changed, "MK", "MK"], [(3, 4), (1, 0)]).tolist())) == 2


@pytest.fixture
def places(tmp_path: Path) -> Path:
    for number, name in enumerate(("nuclear", "ER", "Golgi")):
        texts = random_proteins(40, seed=number, shortest=40, longest=60)
        texts += [text[5:] + "WWWWW" for text in texts[:20]]  # relatives
        (tmp_path / f"{name}.fasta").write_text("".join(f">{name}{n} SP 14\n{t}\n" for n, t in enumerate(texts)))
    return tmp_path


def test_no_cluster_is_parted(places: Path) -> None:
    data = load(f"multiloc:{places}")
    assert data.classes == ("ER", "Golgi", "nuclear")
    clusters = cluster(data.texts)
    parts = [set(clusters[part].tolist()) for part in (data.train, data.validation, data.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert len(data.test) == pytest.approx(0.2 * len(data), rel=0.5)
    assert set(data.labels[data.test].tolist()) == {0, 1, 2}


def test_cluster_files_are_respected(places: Path) -> None:
    alone = load(f"multiloc:{places}")
    first, last = alone.names[int(alone.train[0])], alone.names[int(alone.test[0])]
    (places / "nuclear.cluster").write_text(f"unknown {first} \r\n{first} {last}\r\n")
    data = load(f"multiloc:{places}")
    (places / "nuclear.cluster.gz").write_bytes(gzip.compress((places / "nuclear.cluster").read_bytes()))
    (places / "nuclear.cluster").unlink()
    assert load(f"multiloc:{places}").test.tolist() == data.test.tolist()
    part = {name: p for p in ("train", "validation", "test") for name in np.array(data.names)[getattr(data, p)]}
    assert part[first] == part[last]


def test_location_names() -> None:
    assert location(Path("a/plasma_membrane.fasta.gz")) == "plasma_membrane"
    assert location(Path("animal_h30_er.fasta")) == "ER"
    assert location(Path("plant_h40_vac.fasta")) == "vacuolar"


def test_a_name_stands_for_one_protein(places: Path) -> None:
    plain, text = load(f"multiloc:{places}"), random_proteins(1, seed=9, shortest=50)[0]
    file = places / "nuclear.fasta"
    first, whole = load(f"multiloc:{places}").texts[0], file.read_text()
    last = whole.count("\n") + 1
    file.write_text(f"{whole}>{plain.names[0]}\n{first.lower()}\n>\n{text}\n")
    data = load(f"multiloc:{places}")
    assert data.names[-1] == f"nuclear.fasta-line-{last + 2}"
    assert len(data) == len(plain) + 1
    assert data.skipped == (
        *plain.skipped,
        f"{file}, line {last}: {plain.names[0]}: its sequence is there already, as ER",
    )
    (places / "nuclear.cluster").write_text("alias nuclear0\n")
    file.write_text(f"{whole}>alias\n{first}\n")
    assert Located(places).links == [
        (0, plain.names.index("nuclear0"))
    ]  # a link to what is left out is one to its equal
    (places / "nuclear.cluster").unlink()
    file.write_text(f"{whole}>{plain.names[0]}\n{text}\n")
    with pytest.raises(UserError, match=rf"nuclear.fasta, line {last}: .* says something else \(.*ER.fasta, line 1\)"):
        load(f"multiloc:{places}")
    file.write_text("".join(f">dup\n{each}\n" for each in random_proteins(9)))
    with pytest.raises(UserError, match=r"nuclear.fasta, line 3: 'dup' is there already"):
        load(f"multiloc:{places}")


def test_one_location_is_no_task(tmp_path: Path) -> None:
    (tmp_path / "ER.fasta").write_text("".join(f">{n}\n{t}\n" for n, t in enumerate(random_proteins(20))))
    with pytest.raises(UserError, match="one location"):
        load(f"multiloc:{tmp_path}")


def test_real_enzymes(shared: Path) -> None:
    data = load(f"clean_ec:{shared / 'data/proteins/clean_ec'}")
    assert len(data.train) + len(data.validation) == 7585
    assert len(data.test) == 388
    assert len(data.skipped) == 176
    assert np.bincount(data.labels[data.test]).tolist() == [86, 110, 85, 89, 8, 6, 4]


def test_real_locations(shared: Path) -> None:
    data = load(f"multiloc_independent:{shared / 'data/proteins/multiloc'}")
    assert len(data.classes) == 11
    assert len(data.test) == 335  # of 339; four are there twice
    assert len(data) + len(data.skipped) == 5959 + 339
