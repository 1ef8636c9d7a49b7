from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.random import generator
from mmgraph.config import EdgeMaskConfig, MaskGAEConfig
from mmgraph.edge_masks import EdgeMask
from mmgraph.graph import Graphs
from mmgraph.models.maskgae import MaskGAE
from mmgraph.models.maskgae_official import from_official

GOLDEN = MaskGAEConfig(24, 32, 16, 2, 0.0, decoder_dim=12, decoder_dropout=0.0, degree_weight=0.003)
OURS = {
    "encoder.convs.0.lin.weight": "encoder.layers.0.linear.weight",
    "edge_decoder.mlps.0.weight": "objectives.edge.head.inner.weight",
    "degree_decoder.mlps.1.weight": "objectives.degree.head.outer.weight",
    "encoder.bns.1.weight": "encoder.norms.1.weight",
}


class Golden:
    """Weights, inputs and results of the official implementation."""

    def __init__(self, folder: Path) -> None:
        self.arrays = np.load(folder / "golden" / "maskgae.npz")
        self.model = MaskGAE(GOLDEN)
        official = {key.removeprefix("weight/"): self[key] for key in self.arrays if key.startswith("weight/")}
        self.model.load_state_dict(from_official(official, GOLDEN))
        self.graphs = Graphs(self["in/x"], self["in/edge_index"])
        drawn = self["draw/edge_masked"]
        keys = self.graphs.edge_index[0] * 40 + self.graphs.edge_index[1]
        visible = self["in/visible_edge_index"]
        hidden = ~torch.isin(keys, visible[0] * 40 + visible[1])
        self.mask = EdgeMask(
            hidden,
            torch.tensor([0, len(drawn)]),
            drawn,
            drawn.nonzero().squeeze(1),
            self["in/negative_edge_index"],
        )

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(self.arrays[key])


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_parity(shared: Path, mode: str) -> None:
    golden = Golden(shared)
    model = golden.model.train(mode == "train")
    assert int(golden.mask.hidden.sum()) == 184 - 94
    output = model(golden.graphs, golden.mask)
    close(output.latent, golden[f"{mode}/z"])
    logits = torch.cat([golden[f"{mode}/pos_logit"], golden[f"{mode}/neg_logit"]]).squeeze(1)
    close(output.predictions["edge"], logits)
    close(output.predictions["degree"], golden[f"{mode}/degree_pred"].squeeze(1))
    close(output.parts["edge"], golden[f"{mode}/loss_edge"])
    close(output.parts["degree"], golden[f"{mode}/loss_degree"])
    close(output.loss, golden[f"{mode}/loss"])
    if mode == "eval":
        close(output.targets["degree"], golden["eval/degree_target"])
    output.loss.backward()
    named = dict(model.named_parameters())
    for theirs, ours in OURS.items():
        gradient = named[ours].grad
        assert gradient is not None
        close(gradient, golden[f"{mode}/grad/{theirs}"])
    if mode == "train":
        buffers = dict(model.named_buffers())
        for layer in (0, 1):
            for name in ("running_mean", "running_var"):
                close(buffers[f"encoder.norms.{layer}.{name}"], golden[f"train/after/encoder.bns.{layer}.{name}"])


def test_embeddings_and_scores(shared: Path) -> None:
    golden = Golden(shared)
    model = golden.model.eval()
    close(model.encode(golden.graphs), golden["eval/embedding_cat_full_graph"])
    visible = Graphs(golden["in/x"], golden["in/visible_edge_index"])
    close(model.score_edges(visible, golden["in/masked_edge_index"]).sigmoid(), golden["eval/pos_score"].squeeze(-1))


def small(kind: str = "path", leak: bool = False, **sizes: float) -> MaskGAE:
    torch.manual_seed(0)
    mask = EdgeMaskConfig(kind, 0.5, "node", leak=leak)  # type: ignore[arg-type]
    return MaskGAE(MaskGAEConfig(5, 8, 8, 2, 0.0, decoder_dim=4, decoder_dropout=0.0, mask=mask, **sizes))


def test_it_sees_nothing_of_a_hidden_edge(square: Graphs) -> None:
    """The embeddings are those of the graph without the hidden edges."""
    model = small("edge").eval()
    mask = model.draw_mask(square, generator(0))
    without = Graphs(square.x, square.edge_index[:, ~mask.hidden], square.offsets)
    torch.testing.assert_close(model(square, mask).latent, model.encoder(without))


@pytest.mark.parametrize("kind", ["edge", "path"])
@pytest.mark.parametrize("leak", [False, True])
def test_a_given_mask_is_replayed(square: Graphs, kind: str, leak: bool) -> None:
    model = small(kind, leak).eval()
    mask = model.draw_mask(square, generator(3))
    first, again = model(square, mask), model(square, mask)
    drawn_again = model(square, model.draw_mask(square, generator(3)))
    assert torch.equal(first.loss, again.loss)
    assert torch.equal(first.loss, drawn_again.loss)
    assert len({tuple(model.draw_mask(square, generator(seed)).drawn.tolist()) for seed in range(9)}) > 1


def test_nodes_may_be_renamed(square: Graphs) -> None:
    model = small("edge").eval()
    mask = model.draw_mask(square, generator(0))
    order = torch.tensor([2, 0, 3, 1, 5, 4])  # old node at each new place; graphs stay apart
    place = order.argsort()
    renamed = Graphs(square.x[order], place[square.edge_index], square.offsets)
    moved = EdgeMask(mask.hidden, square.edge_offsets, mask.drawn, mask.scored, place[mask.negatives])
    torch.testing.assert_close(model(renamed, moved).loss, model(square, mask).loss)


def test_no_degree_loss_no_decoder(square: Graphs) -> None:
    model = small("edge", degree_weight=0.0)
    assert set(model(square, model.draw_mask(square, generator(0))).parts) == {"edge"}


def test_it_is_saved_and_loaded(square: Graphs, tmp_path: Path) -> None:
    model = small().eval()
    model.save_pretrained(tmp_path)
    loaded = MaskGAE.from_pretrained(tmp_path)
    assert torch.equal(loaded.encode(square), model.encode(square))


def test_foreign_weights_are_named() -> None:
    with pytest.raises(UserError, match=r"encoder\.emb\.weight is not an entry"):
        from_official({"encoder.emb.weight": torch.zeros(1)}, GOLDEN)
