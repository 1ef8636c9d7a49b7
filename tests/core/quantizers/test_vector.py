"""Vector quantization against vector-quantize-pytorch and against small cases by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.quantizers import VectorQuantizer, usage
from core.random import generator


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_values_gradients_and_the_moved_codebook_are_those_of_the_oracle(metric: str) -> None:
    oracle_package = pytest.importorskip("vector_quantize_pytorch")
    theirs = oracle_package.VectorQuantize(
        dim=6, codebook_size=8, decay=0.9, commitment_weight=1.0, threshold_ema_dead_code=0, rotation_trick=False,
        use_cosine_sim=metric == "cosine", eps=1e-12,
    )  # fmt: skip
    ours = VectorQuantizer(8, 6, metric, decay=0.9)  # type: ignore[arg-type]
    book = draw(8, 6, seed=1)
    book = nn.functional.normalize(book, dim=-1) if metric == "cosine" else book
    for target in (ours.codebook, ours.sums):
        target.copy_(book)
    theirs._codebook.embed.copy_(book[None])
    theirs._codebook.embed_avg.copy_(book[None])
    x, weight = draw(4, 5, 6, seed=2), draw(4, 5, 6, seed=3)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    result = ours.train()(mine)
    vectors, ids, loss = theirs.train()(other)
    assert torch.equal(result.ids, ids)
    torch.testing.assert_close(result.vectors, vectors)
    torch.testing.assert_close(result.losses["commitment"], loss.squeeze())
    ((result.vectors * weight).sum() + result.losses["commitment"]).backward()
    ((vectors * weight).sum() + loss.sum()).backward()
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(ours.counts, theirs._codebook.cluster_size[0])
    torch.testing.assert_close(ours.codebook, theirs._codebook.embed[0], rtol=1e-4, atol=1e-5)


def test_the_nearest_code_by_hand() -> None:
    layer = VectorQuantizer(3, 2).eval()
    layer.codebook.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]))
    x = torch.tensor([[0.4, 0.1], [0.6, 0.1], [0.1, 1.1]])
    assert layer.encode(x).tolist() == [0, 1, 2]
    assert torch.equal(layer.decode(torch.tensor([[2, 0]])), torch.tensor([[[0.0, 2.0], [0.0, 0.0]]]))
    assert float(layer(x).losses["commitment"]) == pytest.approx((0.17 + 0.17 + 0.82) / 6)


def test_the_codebook_moves_in_training_only_and_by_the_moving_average() -> None:
    layer = VectorQuantizer(2, 1, decay=0.5)
    layer.codebook.copy_(torch.tensor([[0.0], [10.0]]))
    layer.sums.copy_(layer.codebook)
    x = torch.tensor([[1.0], [2.0], [12.0]])
    before = layer.codebook.clone()
    layer.eval()(x)
    assert torch.equal(layer.codebook, before)
    layer.train()(x)
    # counts 1 -> (1 + 2) / 2 and (1 + 1) / 2; sums 0 -> (0 + 3) / 2 and (10 + 12) / 2
    torch.testing.assert_close(layer.codebook, torch.tensor([[1.0], [11.0]]))


def test_gradients_pass_to_the_input_as_if_nothing_had_happened() -> None:
    layer, x = VectorQuantizer(4, 3).eval(), draw(5, 3).requires_grad_()
    weight = draw(5, 3, seed=1)
    (layer(x).vectors * weight).sum().backward()
    assert torch.equal(x.grad, weight)
    assert not any(p.requires_grad for p in layer.parameters())


def test_k_means_starts_at_the_clusters_and_dead_codes_revive() -> None:
    centres = torch.tensor([[-20.0, 0], [0, 0], [20.0, 0], [0, 20.0]])
    x = centres.repeat(30, 1) + 0.1 * draw(120, 2)
    layer = VectorQuantizer(4, 2, kmeans=10, revive=2.0, decay=0.8)
    for _ in range(30):
        layer(x)
    found = layer.codebook[torch.cdist(centres, layer.codebook).argmin(1)]
    assert float((found - centres).norm(dim=1).max()) < 0.2
    assert usage(torch.bincount(layer.encode(x), minlength=4)).codes == 4
    lazy = VectorQuantizer(4, 2, decay=0.5)  # without revival, codes far from everything are never chosen
    lazy.codebook.copy_(torch.tensor([[0.0, 0], [900.0, 900], [901.0, 900], [902.0, 900]]))
    lazy.sums.copy_(lazy.codebook)
    for _ in range(30):
        lazy(x)
    assert usage(torch.bincount(lazy.encode(x), minlength=4)).codes == 1
    assert lazy.codebook.isfinite().all()


def test_the_same_seed_gives_the_same_codebook_and_a_saved_one_goes_on_alike() -> None:
    def train(layer: VectorQuantizer, batches: range) -> VectorQuantizer:
        for number in batches:
            layer(draw(40, 3, seed=number))
        return layer

    def fresh() -> VectorQuantizer:
        torch.manual_seed(0)
        return VectorQuantizer(16, 3, kmeans=3, revive=1.0, seed=5)

    whole = train(fresh(), range(6))
    torch.manual_seed(99)  # the global generator has no part in it
    assert torch.equal(train(fresh(), range(6)).codebook, whole.codebook)
    half = train(fresh(), range(3))
    resumed = VectorQuantizer(16, 3, kmeans=3, revive=1.0, seed=5)
    resumed.load_state_dict(half.state_dict())
    assert torch.equal(train(resumed, range(3, 6)).codebook, whole.codebook)


def test_half_precision_around_it_changes_no_choice() -> None:
    layer, x = VectorQuantizer(64, 16).eval(), draw(500, 16)
    with torch.autocast("cpu", torch.bfloat16):
        ids = layer.encode(x)
    assert torch.equal(ids, layer.encode(x))


def test_usage_counts() -> None:
    assert usage(torch.tensor([5, 5, 0, 0])) == (2, 0.5, pytest.approx(2.0))
    assert usage(torch.tensor([7, 0])).perplexity == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no code"):
        usage(torch.zeros(3))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="codes of 3"):
        VectorQuantizer(4, 3)(draw(2, 5))
    with pytest.raises(ValueError, match="decay"):
        VectorQuantizer(4, 3, decay=1.0)
