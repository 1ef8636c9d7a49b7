"""A vocabulary in parts is its parts."""

from __future__ import annotations

import pytest
import torch

from core.quantizers import GroupedQuantizer, VectorQuantizer
from core.random import generator

FEATURES = torch.randn(200, 4, generator=generator(0))
GROUPS = torch.arange(200) % 3
GROUPS[GROUPS == 2] = 3  # nothing is of group 2


def test_every_part_does_what_it_does_alone() -> None:
    torch.manual_seed(0)
    layer = GroupedQuantizer((5, 4, 3, 6), 4, decay=0.9, revive=0.5, kmeans=3, seed=7)
    alone = []
    for number, codes in enumerate((5, 4, 3, 6)):
        part = VectorQuantizer(codes, 4, decay=0.9, revive=0.5, kmeans=3, seed=7 + number)
        part.load_state_dict(layer.parts[number].state_dict())
        alone.append(part)
    x = FEATURES.clone().requires_grad_()
    found = layer(x, GROUPS)
    total = 0.0
    for number, start in ((0, 0), (1, 5), (3, 12)):
        mine = number == GROUPS
        theirs = alone[number](FEATURES[mine])
        assert torch.equal(found.ids[mine], theirs.ids + start)
        torch.testing.assert_close(found.vectors[mine], theirs.vectors)
        total += float(theirs.losses["commitment"]) * int(mine.sum())
        assert torch.equal(layer.parts[number].codebook, alone[number].codebook)
    assert float(found.losses["commitment"].detach()) == pytest.approx(total / 200, rel=1e-5)
    found.vectors.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_codes_are_of_their_group_whatever_moves_them() -> None:
    layer = GroupedQuantizer((8, 2, 3, 4), 4, decay=0.5, revive=2.0, kmeans=5)
    bounds = torch.tensor(layer.starts)
    for seed in range(10):
        x = torch.randn(60, 4, generator=generator(seed)) + GROUPS[:60, None] * 50  # groups are far apart
        ids = layer(x, GROUPS[:60]).ids
        assert (ids >= bounds[GROUPS[:60]]).all()
        assert (ids < bounds[GROUPS[:60] + 1]).all()
    for number in (0, 1, 3):
        book = layer.codebook[layer.starts[number] : layer.starts[number + 1]]
        assert (book - 50 * number).abs().max() < 10
    assert layer.codes == 17
    ids = layer.encode(FEATURES, GROUPS)
    assert torch.equal(layer.decode(ids), layer.codebook[ids])


def test_a_group_without_features_waits() -> None:
    layer = GroupedQuantizer((2, 3), 4, kmeans=4, revive=1.0)
    before = layer.parts[1].state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    found = layer(FEATURES, torch.zeros(200, dtype=torch.int64))
    assert found.losses["commitment"].isfinite()
    for name, tensor in layer.parts[1].state_dict().items():
        assert torch.equal(tensor, before[name]), name
    layer(FEATURES + 100, torch.ones(200, dtype=torch.int64))  # its k-means begins with the first that come
    assert layer.parts[1].codebook.min() > 90
    nothing = layer(FEATURES[:0], GROUPS[:0])
    assert float(nothing.losses["commitment"]) == 0


def test_a_group_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="groups 0 to 3; there are 2"):
        GroupedQuantizer((2, 3), 4).encode(FEATURES, GROUPS)
