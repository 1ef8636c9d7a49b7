"""Antibodies with their loops: layouts, parts, joined sources."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_antibodies import random_antibodies, write_antibodies
from tiny_mmbio import write_fasta

from core.errors import UserError
from mmbio.config import TextConfig
from mmbio.data.sets import AntibodySet
from mmbio.data.sources import load, load_texts
from mmbio.data.tokens import TokenData, split_held_out
from mmbio.proteins.alphabet import ABBERT
from mmbio.proteins.loops import alike, clusters, edit_distance, heavy_loops, like_any, shown_in

LOOPS = st.text("ARDY", max_size=7)


@given(LOOPS, LOOPS, LOOPS)
def test_edit_distance_is_a_distance(a: str, b: str, c: str) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@given(st.lists(LOOPS, max_size=8), st.lists(LOOPS, max_size=5))
def test_like_loops_are_found_and_clustered(loops: list[str], others: list[str]) -> None:
    by_hand = [bool(a) and any(bool(b) and alike(a, b) for b in others) for a in loops]
    assert like_any(loops, others) == by_hand
    found = clusters(loops)
    for i, a in enumerate(loops):
        for j, b in enumerate(loops):
            if i != j and a and b and alike(a, b):
                assert found[i] == found[j]
            if i != j and not (a and b):
                assert found[i] != found[j]


def test_heavy_loops_of_a_known_chain() -> None:
    for text, regions in random_antibodies(5):
        found = heavy_loops(text, regions.index("3"))
        assert found is not None
        for digit, (begin, end) in zip("12", found, strict=True):
            assert (begin, end) == (regions.index(digit), regions.rindex(digit) + 1)
    assert heavy_loops("ACDEFGHIK", 5) is None


def test_parts_are_drawn_by_loops(tmp_path: Path) -> None:
    chains = random_antibodies(60)
    near = [(text.replace("WGQGTLVTVSS", "WGQGTMVTVSS"), regions) for text, regions in chains[:20]]
    data = load(write_antibodies(tmp_path / "some.jsonl", [*chains, *near, chains[0]]))
    assert isinstance(data, AntibodySet)
    assert len(data) == 80
    assert "1 chains that are there already" in data.sequences.skipped[0]
    assert 0 < len(data.test) <= 8
    assert 0 < len(data.validation) <= 8
    parts = [{data.loop(i) for i in part} for part in (data.train, data.validation, data.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    again = load(f"antibodies:{tmp_path / 'some.jsonl'}")
    assert again.test.tolist() == data.test.tolist()


def test_a_folder_gives_the_parts(tmp_path: Path) -> None:
    chains = random_antibodies(9)
    write_antibodies(tmp_path / "train_data.jsonl", chains[:6])
    write_antibodies(tmp_path / "val.jsonl", chains[6:8])
    write_antibodies(tmp_path / "test_data.jsonl", [chains[8], chains[0]])
    (tmp_path / "test_data.jsonl.gz").write_bytes(gzip.compress((tmp_path / "test_data.jsonl").read_bytes()))
    (tmp_path / "test_data.jsonl").unlink()
    data = load(f"antibodies:{tmp_path}")
    texts = data.sequences.texts
    assert [texts[i] for i in data.test] == [chains[8][0], chains[0][0]]  # of equal chains that of the test part stays
    assert [texts[i] for i in data.train] == [text for text, _ in chains[1:6]]
    assert len(data.validation) == 2


def test_arrays_with_partitions(tmp_path: Path, shared: Path) -> None:
    chains = random_antibodies(4)
    arrays = {"seq": [c[0] for c in chains], "cdr": [c[1] for c in chains]}
    words = ["hcdr1_test|hcdr3_val", "hcdr3_test", "hcdr2_val", "hcdr1_val|hcdr2_test"]
    np.savez(tmp_path / "a.npz", partition=np.array(words), **{k: np.array(v) for k, v in arrays.items()})
    data = load(f"antibodies:{tmp_path / 'a.npz'}")
    assert [data.sequences.texts[i] for i in data.test] == [chains[1][0]]
    assert [data.sequences.texts[i] for i in data.validation] == [chains[0][0]]
    real = load(f"antibodies:{shared / 'data/proteins/sabdab_vh_backbone.npz'}")
    assert (len(real.train), len(real.validation), len(real.test)) == (772, 340, 372)


def test_heavy_loops_are_those_of_sabdab(shared: Path) -> None:
    data = load(f"antibodies:{shared / 'data/proteins/sabdab_vh_backbone.npz'}").sequences
    right = total = 0
    for text, regions in zip(data.texts, data.regions, strict=True):
        if {"1", "2", "3"} <= set(regions) and text[regions.rindex("3") + 1 :][:1] == "W":  # light chains are there too
            total += 1
            found = heavy_loops(text, regions.index("3"))
            right += found == tuple((regions.index(d), regions.rindex(d) + 1) for d in "12")
    assert right / total > 0.92


def table(path: Path, rows: list[tuple[str, str, str]]) -> str:
    lines = [f'{name},"Ab",{seq},{loop}' for name, seq, loop in rows]
    path.write_text("Name,Ab or Nb,VH or VHH,CDRH3\n" + "\n".join(lines) + "\n", encoding="utf-8-sig")
    return f"covabdab:{path}"


def test_covabdab(tmp_path: Path) -> None:
    chains = random_antibodies(12)
    rows = [(f"n{i}", text, text[r.index("3") : r.rindex("3") + 1]) for i, (text, r) in enumerate(chains)]
    data = load(table(tmp_path / "c.csv", [*rows, ("gone", "ND", "ND"), ("lost", "EVQLVESGGG", "ARDY"), rows[0]]))
    regions = dict(zip(data.sequences.texts, data.sequences.regions, strict=True))
    assert regions == {**dict(chains), "EVQLVESGGG": "0" * 10}
    assert "line 14: gone has no sequence" in data.sequences.skipped[0]
    (tmp_path / "bad.csv").write_text("Name,VH\na,b\n")
    with pytest.raises(UserError, match="no column 'VH or VHH'"):
        load(f"covabdab:{tmp_path / 'bad.csv'}")
    with pytest.raises(UserError, match=r"bad\.csv, line 2: a: character '1' at place 2"):
        load(table(tmp_path / "bad.csv", [("a", "E1Q", "E")]))


def test_joined_sources_keep_regions_and_their_distance(tmp_path: Path) -> None:
    chains = random_antibodies(40)
    first = write_antibodies(tmp_path / "first.jsonl", chains)
    data = load(first)
    tested, trained = int(data.test[0]), int(data.train[0])
    other = data.sequences.texts[tested].replace(
        "EVQLVESGGG", "QVQLVQSGAG"
    )  # another chain with a loop that is tested on
    near = [other.replace("WGQGTLVTVSS", "WGQGT" + end) for end in ("LVTVSS", "MVTVSS", "TVTVSS", "TLTVSS", "QVTVSS")]
    rows = [
        *((f"near{i}", text, data.loop(tested)) for i, text in enumerate(near)),
        ("same", data.sequences.texts[trained], "ND"),
        *(
            (f"x{i}", text, text[r.index("3") : r.rindex("3") + 1])
            for i, (text, r) in enumerate(random_antibodies(20, 5))
        ),
    ]
    second = table(tmp_path / "second.csv", rows)
    joined = load_texts(f"{first}+{second}")
    regions = dict(zip(joined.texts, joined.regions, strict=True))
    own = load(second)
    kept = {own.sequences.texts[i] for i in own.validation}  # is held out of the whole, so it may stay
    assert not [text for text in near if text in regions and text not in kept]
    assert data.sequences.texts[tested] not in regions
    assert regions[data.sequences.texts[trained]] == data.sequences.regions[trained]
    assert any("sequences with a CDR-H3 like" in line for line in joined.skipped)
    train, held = split_held_out(joined, TextConfig(held_out=0.05))
    assert held
    assert not set(train) & set(held)
    assert not {joined.texts[i] for i in train} & set(near)
    sample = TokenData(joined, train, ABBERT, 254).sample(0, None)
    assert sample.regions.tolist() == [0, *map(int, joined.regions[train[0]]), 0]


def test_what_is_tested_on_is_not_learned_from_other_sources(tmp_path: Path) -> None:
    chains = [*random_antibodies(38), ("EVQLGGSSTKK", "0" * 11), ("EVQLGGSSTKL", "0" * 11)]  # two without a loop
    texts, regions = [text for text, _ in chains], [r for _, r in chains]
    parts = ["test"] * 5 + ["val"] * 5 + ["train"] * 28 + ["test", "val"]
    np.savez(tmp_path / "a.npz", seq=np.array(texts), cdr=np.array(regions), partition=np.array(parts))
    first = f"antibodies:{tmp_path / 'a.npz'}"
    data = load(first)
    loops = {part: [data.loop(i) for i in getattr(data, part)] for part in ("train", "validation", "test")}
    tested = next(loop for loop in loops["test"] if len(loop) >= 6)
    chimeras = [f"EVQ{tested}W", f"EVQ{tested[:-1]}W", f"MK{loops['validation'][0]}", f"MK{loops['train'][0]}"]
    plain = write_fasta(tmp_path / "plain.fasta", [*texts, *chimeras])
    for word in (f"{plain}+{first}", f"{first}+{plain}"):
        joined = load_texts(word)
        train, _ = split_held_out(joined, TextConfig())
        learned = {joined.texts[i] for i in train}
        assert not learned & {text for text, part in zip(texts, parts, strict=True) if part != "train"}
        assert not learned & {chimeras[0], chimeras[2]}  # stand there letter by letter
        assert {chimeras[1], chimeras[3]} <= learned
        assert {text for text, part in zip(texts, parts, strict=True) if part == "train"} <= learned
        assert any("6 sequences that are tested on elsewhere" in line for line in joined.skipped)


@given(st.lists(LOOPS, max_size=6), st.lists(LOOPS, max_size=6), st.integers(1, 4))
def test_loops_in_texts(texts: list[str], loops: list[str], shortest: int) -> None:
    by_hand = [any(len(loop) >= shortest and loop in text for loop in loops) for text in texts]
    assert shown_in(texts, loops, shortest) == by_hand


def test_sources_without_regions_join_with_zeros(tmp_path: Path) -> None:
    first = write_antibodies(tmp_path / "first.jsonl", random_antibodies(12))
    (tmp_path / "plain.fasta").write_text(">a\nACDEF\n")
    joined = load_texts(f"{first}+fasta:{tmp_path / 'plain.fasta'}")
    assert dict(zip(joined.texts, joined.regions, strict=True))["ACDEF"] == "00000"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", r"a\.jsonl, line 2: not JSON"),
        ("[]", "line 2: expected an object with 'seq' and 'cdr'"),
        ('{"seq": "ACD", "cdr": "00"}', "line 2: 2 marks of loops for 3 residues"),
        ('{"seq": "ACD", "cdr": "0a0"}', "line 2: marks of loops other than digits"),
        ('{"seq": "A#D", "cdr": "000"}', "line 2: character '#' at place 2"),
        ('{"seq": null, "cdr": "000"}', "line 2: expected texts"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, expected: str) -> None:
    good = json.dumps({"seq": "ACD", "cdr": "030"})
    (tmp_path / "a.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(UserError, match=expected):
        load(f"antibodies:{tmp_path / 'a.jsonl'}")


def test_other_bad_input(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"seq": "ACD", "cdr": null}\n')
    with pytest.raises(UserError, match=r"no sequences; 1 records were left out, the first: .*line 1: its loops"):
        load(f"antibodies:{tmp_path / 'a.jsonl'}")
    with pytest.raises(UserError, match=r"no train_data\.jsonl in it"):
        load(f"antibodies:{tmp_path}")
    np.savez(tmp_path / "a.npz", seq=np.array(["ACD"]))
    with pytest.raises(UserError, match="has no array 'cdr'; expected seq, cdr, got seq"):
        load(f"antibodies:{tmp_path / 'a.npz'}")
    (tmp_path / "b.npz").write_text("no arrays")
    with pytest.raises(UserError, match=r"not readable as a \.npz of plain arrays"):
        load(f"antibodies:{tmp_path / 'b.npz'}")
