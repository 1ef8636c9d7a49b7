from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from mm3d.data.clouds import PointClouds, collect, pack, validate

sizes_strategy = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def make(sizes: list[int], dtype: type = np.float32, with_parts: bool = False) -> PointClouds:
    generator = np.random.default_rng(len(sizes))
    clouds: list[np.ndarray] = [generator.normal(size=(n, 3)).astype(dtype) for n in sizes]
    parts = [generator.integers(-1, 4, n) for n in sizes] if with_parts else None
    labels = [i % 3 - 1 for i in range(len(sizes))]
    names = [f"c{i}" for i in range(len(sizes))]
    return pack(clouds, labels, ["a", "b"], names, parts, ["p", "q", "r", "s"] if with_parts else [])


@given(sizes_strategy, st.booleans(), st.data())
def test_pack_and_subset_give_back_every_cloud(sizes: list[int], with_parts: bool, data: st.DataObject) -> None:
    generator = np.random.default_rng(len(sizes))
    clouds = [generator.normal(size=(n, 3)).astype(np.float32) for n in sizes]
    packed = make(sizes, with_parts=with_parts)
    assert len(packed) == len(sizes)
    assert packed.sizes.tolist() == sizes
    for i, cloud in enumerate(clouds):
        assert np.array_equal(packed.cloud(i), cloud)
        assert np.array_equal(packed.cloud(i - len(sizes)), cloud)
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=10))
    part = validate(packed.subset(chosen))
    assert part.names == tuple(f"c{i}" for i in chosen)
    assert part.labels.tolist() == [i % 3 - 1 for i in chosen]
    for new, old in enumerate(chosen):
        assert np.array_equal(part.cloud(new), packed.cloud(old))
        if with_parts:
            assert np.array_equal(part.parts_of(new), packed.parts_of(old))


@given(sizes_strategy)
def test_subset_of_all_is_the_same_content(sizes: list[int]) -> None:
    clouds = make(sizes, with_parts=True)
    assert clouds.subset(range(len(sizes))).fingerprint() == clouds.fingerprint()
    assert clouds.subset(np.ones(len(sizes), bool)).fingerprint() == clouds.fingerprint()


def test_half_precision_is_kept_only_if_all_are_half() -> None:
    assert make([3, 2], np.float16).points.dtype == np.float16
    assert make([3, 2], np.float16).cloud(0).dtype == np.float32
    assert pack([np.zeros((1, 3), np.float16), np.ones((1, 3))]).points.dtype == np.float32


def test_cloud_is_a_copy() -> None:
    clouds = make([3])
    clouds.cloud(0)[:] = 7
    assert not (clouds.points == 7).any()


def test_fingerprint_sees_points_labels_names_and_classes() -> None:
    base = make([4, 5])
    points = base.points.copy()
    points[3, 1] += 1
    others = [
        pack([base.cloud(0), base.cloud(1)], [0, 0], base.classes, base.names),
        pack([base.cloud(0), base.cloud(1)], base.labels, ["a", "c"], base.names),
        pack([base.cloud(0), base.cloud(1)], base.labels, base.classes, ["c0", "x"]),
        pack([points[:4], points[4:]], base.labels, base.classes, base.names),
        pack([base.points[:5], base.points[5:]], base.labels, base.classes, base.names),
    ]
    prints = {c.fingerprint() for c in [base, *others]}
    assert len(prints) == 6
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)


@pytest.mark.parametrize("label", [2, -2, 99])
def test_label_outside_the_classes(label: int) -> None:
    with pytest.raises(UserError, match=f"^second: label {label} is outside the 2 classes"):
        pack([np.eye(3), np.eye(3)], [0, label], ["a", "b"], ["first", "second"])


def test_bad_clouds_are_named() -> None:
    bad = np.eye(3)
    bad[1, 2] = np.nan
    with pytest.raises(UserError, match=r"^two: 1 of 3 points have NaN"):
        pack([np.eye(3), bad], names=["one", "two"])
    with pytest.raises(UserError, match=r"^two: no points"):
        pack([np.eye(3), np.zeros((0, 3))], names=["one", "two"])
    with pytest.raises(UserError, match=r"^one: part label 5 is not one of class a; expected \[0, 1\]"):
        pack([np.eye(3)], [0], ["a"], ["one"], [np.array([0, 1, 5])], ["p"] * 6, [[0, 1]])


def test_wrong_shapes_are_value_errors() -> None:
    with pytest.raises(ValueError, match="cloud 0 has to be"):
        pack([np.zeros((3, 2))])
    with pytest.raises(ValueError, match="names"):
        pack([np.eye(3)], names=["a", "b"])
    with pytest.raises(ValueError, match="parts of cloud 0"):
        pack([np.eye(3)], parts=[np.zeros(2, int)])
    with pytest.raises(ValueError, match="no part labels"):
        make([3]).parts_of(0)
    for index in (2, -3):
        with pytest.raises(IndexError):
            make([3, 3]).cloud(index)
    with pytest.raises(IndexError):
        make([3, 3]).subset([-1])
    with pytest.raises(ValueError, match="boolean mask"):
        make([3, 3]).subset(np.array([True]))


def test_collect_stops_or_skips() -> None:
    def read(i: int) -> int:
        if i == 1:
            raise UserError("b: bad")
        return 10 * i

    assert collect("all", ["a", "b", "c"], read, "skip") == ([0, 20], [0, 2], [("b", "b: bad")])
    with pytest.raises(UserError, match="b: bad"):
        collect("all", ["a", "b", "c"], read, "stop")
    with pytest.raises(UserError, match="all: none of 1 clouds could be used; the first: b: bad"):
        collect("all", ["b"], lambda i: read(1), "skip")
    with pytest.raises(ValueError, match="on_error"):
        collect("all", ["a"], read, "ignore")  # type: ignore[arg-type]
