"""Gathering points by index: values, gradients, range."""

from __future__ import annotations

import pytest
import torch

from mm3d.ops import gather


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 1, 4)])
def test_equals_plain_indexing(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 7, 4, generator=generator)
    index = torch.randint(0, 7, (3, *shape), generator=generator)
    expected = torch.stack([cloud[i] for cloud, i in zip(values, index, strict=True)])
    assert torch.equal(gather(values, index), expected)


def test_gradients_of_repeated_rows_add_up() -> None:
    values = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([[0, 0, 0, 2], [1, 3, 3, 1]])
    assert torch.autograd.gradcheck(lambda v: gather(v, index), (values,))
    gather(values, index).sum().backward()
    assert values.grad is not None
    assert values.grad[..., 0].tolist() == [[3, 0, 1, 0], [0, 2, 0, 2]]


@pytest.mark.parametrize("bad", [4, -1])
def test_an_index_out_of_range_does_not_reach_the_next_cloud(bad: int) -> None:
    with pytest.raises((IndexError, RuntimeError)):
        gather(torch.zeros(2, 4, 3), torch.tensor([[0], [bad]]))


@pytest.mark.parametrize(("values", "index"), [((4, 3), (4, 1)), ((2, 4, 3), (3, 1))])
def test_errors(values: tuple[int, ...], index: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"values|index"):
        gather(torch.zeros(values), torch.zeros(index, dtype=torch.long))
