"""Finite scalar quantization against vector-quantize-pytorch and by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.quantizers import FiniteScalarQuantizer
from core.random import generator


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (3, 4), (7,)])
def test_values_ids_and_gradients_are_those_of_the_oracle(levels: tuple[int, ...]) -> None:
    oracle_package = pytest.importorskip("vector_quantize_pytorch")
    theirs, ours = oracle_package.FSQ(list(levels)), FiniteScalarQuantizer(levels)
    x = 2 * torch.randn(3, 50, len(levels), generator=generator(0))
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    result, (vectors, ids) = ours(mine), theirs(other)
    torch.testing.assert_close(result.vectors, vectors)
    assert torch.equal(result.ids, ids.long())
    weight = torch.randn(vectors.shape, generator=generator(1))
    (result.vectors * weight).sum().backward()
    (vectors * weight).sum().backward()
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(ours.codebook, theirs.implicit_codebook.float())


@given(st.lists(st.integers(2, 9), min_size=1, max_size=4))
def test_every_id_has_its_own_code_and_comes_back(levels: list[int]) -> None:
    layer = FiniteScalarQuantizer(levels)
    book = layer.codebook
    assert len(book.unique(dim=0)) == len(book) == layer.codes
    assert book.abs().max() <= 1
    reach = (layer.levels - 1) * (1 + 1e-3) / 2
    offset = torch.where(layer.levels % 2 == 0, 0.5, 0.0)
    features = ((book * layer._half() + offset) / reach).atanh() - (offset / reach).atanh()
    assert torch.equal(layer.encode(features), torch.arange(layer.codes))
    torch.testing.assert_close(layer(features).vectors, book)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        FiniteScalarQuantizer([1, 3])
    with pytest.raises(ValueError, match="2 channels"):
        FiniteScalarQuantizer([3, 3])(torch.zeros(2, 3))
