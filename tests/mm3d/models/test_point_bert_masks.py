"""What Point-BERT draws for a batch."""

from __future__ import annotations

import pytest
import torch
from tiny_point_bert import clouds, small

from core.random import generator
from mm3d.masks import scattered_mask


def test_a_drawn_mask_is_replayed_and_one_a_sample() -> None:
    model = small(replace=0.2)
    randomness = [generator("mask", index) for index in range(4)]
    mask = model.draw_mask(clouds(), randomness)
    a, b = model(clouds(), mask), model(clouds(), mask)
    assert torch.equal(a.loss, b.loss)
    again = model.draw_mask(clouds(), [generator("mask", index) for index in range(4)])
    for first, second in zip(mask[:3], again[:3], strict=True):
        assert torch.equal(first.mask.hidden, second.mask.hidden)
        assert not (first.replacement.chosen & first.mask.hidden).any()
        assert first.replacement.source.sort().values.tolist() == list(range(32))
    assert torch.equal(mask.mixing.kept, again.mixing.kept)
    # a cloud's own mask is the same in another batch
    alone = model.draw_mask(clouds()[1:2], [generator("mask", 1)])
    assert torch.equal(alone.plain.mask.hidden, mask.plain.mask.hidden[1:2])
    assert not torch.equal(a.loss, model(clouds(), model.draw_mask(clouds(), generator("other"))).loss)


def test_masks_keep_to_their_range() -> None:
    model = small(mask_range=(0.25, 0.5))
    many = clouds(64)
    mask = model.draw_mask(many, generator("mask"))
    for view in (mask.plain, mask.mixed, mask.key):
        assert set(view.mask.counts.tolist()) == {2, 3}  # floor of 8 times [.25, .5)
    kept = mask.mixing.kept.float().mean(1)
    assert float(torch.corrcoef(torch.stack([kept, mask.mixing.share]))[0, 1]) > 0.7
    # a block: no visible center is nearer to the block's seed than a hidden one
    centers = model.encoder.centers(many)
    for center, hidden in zip(centers, mask.plain.mask.hidden, strict=True):
        distance = torch.cdist(center, center)
        assert any(distance[s][hidden].max() <= distance[s][~hidden].min() for s in hidden.nonzero()[:, 0])
    scattered = scattered_mask((2000, 50), (0.25, 0.45), generator("scattered"))
    shares = scattered.hidden.float().mean(1)
    assert float(shares.mean()) == pytest.approx(0.35, abs=0.01)
    assert scattered_mask((500, 2), (0.01, 0.02), generator("few")).counts.min() == 1
