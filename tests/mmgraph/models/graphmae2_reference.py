"""GraphMAE2's official formulae, written out with dense adjacency matrices and the official names of weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgraph.config import GraphMAE2Config
from mmgraph.graph import Graphs
from mmgraph.remasks import RemaskedNodes


def official_weights(config: GraphMAE2Config) -> dict[str, Tensor]:
    """Random weights under the names and shapes of the official state dict."""
    dim, heads, hidden = config.encoder.dim, config.encoder.heads, config.projector_dim
    shapes: dict[str, tuple[int, ...]] = {"enc_mask_token": (1, config.width), "dec_mask_token": (1, dim)}
    shapes["encoder_to_decoder.weight"] = (dim, dim)
    for stack in ("encoder", "encoder_ema"):
        for number in range(config.encoder.depth):
            width, layer = (dim if number else config.width), f"{stack}.gat_layers.{number}"
            shapes |= {f"{layer}.fc.weight": (dim, width), f"{layer}.bias": (dim,), f"{layer}.activation.weight": (1,)}
            shapes |= {f"{layer}.attn_{side}": (1, heads, dim // heads) for side in "lr"}
            if config.encoder.norm == "layernorm":
                shapes |= {f"{layer}.norm.weight": (dim,), f"{layer}.norm.bias": (dim,)}
            if config.encoder.residual and number == 0:
                shapes[f"{layer}.res_fc.weight"] = (dim, width)
    decoder = "decoder.gat_layers.0"
    shapes |= {f"{decoder}.fc.weight": (config.width, dim), f"{decoder}.bias": (config.width,)}
    shapes |= {f"{decoder}.attn_{side}": (1, 1, config.width) for side in "lr"}
    for projector in ("projector", "projector_ema"):
        shapes |= {f"{projector}.0.weight": (hidden, dim), f"{projector}.0.bias": (hidden,)}
        shapes |= {f"{projector}.1.weight": (1,), f"{projector}.2.weight": (dim, hidden), f"{projector}.2.bias": (dim,)}
    shapes |= {"predictor.0.weight": (1,), "predictor.1.weight": (dim, dim), "predictor.1.bias": (dim,)}
    source = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=source, dtype=torch.float64) * 0.5 for name, shape in shapes.items()}


def dense_edges(graphs: Graphs, kept: Tensor | None) -> Tensor:
    """[target, source] of what a layer sees: no self-loops of the data, one at every node."""
    seen = graphs.edge_index if kept is None else graphs.edge_index[:, kept]
    adjacency = torch.zeros(len(graphs.x), len(graphs.x), dtype=torch.bool)
    adjacency[seen[1], seen[0]] = True
    return adjacency | torch.eye(len(graphs.x), dtype=torch.bool)


class Reference:
    """The official forward pass without dropout, in float64."""

    def __init__(self, config: GraphMAE2Config, weights: dict[str, Tensor]) -> None:
        self.config = config
        self.weights = {name: w.clone().requires_grad_("_ema" not in name) for name, w in weights.items()}

    def conv(self, layer: str, x: Tensor, edges: Tensor) -> Tensor:
        w = {k.removeprefix(f"{layer}."): v for k, v in self.weights.items() if k.startswith(f"{layer}.")}
        heads = w["attn_l"].shape[1]
        h = (x @ w["fc.weight"].t()).view(len(x), heads, -1)
        left, right = ((h * w[f"attn_{side}"]).sum(-1) for side in "lr")
        scores = F.leaky_relu(left[None] + right[:, None], 0.2).masked_fill(~edges[..., None], -torch.inf)
        out = torch.einsum("ijh,jhd->ihd", scores.softmax(1), h).flatten(1) + w["bias"]
        if "res_fc.weight" in w:
            out = out + x @ w["res_fc.weight"].t()
        if "norm.weight" in w:
            out = F.layer_norm(out, out.shape[1:], w["norm.weight"], w["norm.bias"])
        return F.prelu(out, w["activation.weight"]) if "activation.weight" in w else out

    def encode(self, stack: str, x: Tensor, edges: Tensor) -> Tensor:
        for number in range(self.config.encoder.depth):
            x = self.conv(f"{stack}.gat_layers.{number}", x, edges)
        return x

    def project(self, name: str, x: Tensor) -> Tensor:
        w = self.weights
        x = F.prelu(x @ w[f"{name}.0.weight"].t() + w[f"{name}.0.bias"], w[f"{name}.1.weight"])
        return x @ w[f"{name}.2.weight"].t() + w[f"{name}.2.bias"]

    def loss(self, graphs: Graphs, mask: RemaskedNodes) -> tuple[Tensor, Tensor]:
        """Reconstruction, summed over the views, and latent prediction."""
        w, x, hidden = self.weights, graphs.x.double(), mask.hidden[:, None]
        latent = self.encode("encoder", torch.where(hidden, w["enc_mask_token"], x), dense_edges(graphs, mask.kept))
        roots = torch.arange(len(x)) if graphs.roots is None else graphs.roots
        with torch.no_grad():
            teacher = self.encode("encoder_ema", x, dense_edges(graphs, mask.teacher_kept))
            target = self.project("projector_ema", teacher[roots])
        predicted = F.prelu(self.project("projector", latent[roots]), w["predictor.0.weight"])
        predicted = predicted @ w["predictor.1.weight"].t() + w["predictor.1.bias"]
        bridged = latent @ w["encoder_to_decoder.weight"].t()
        if mask.remasked is None:
            views = [bridged * ~hidden]
        else:
            views = [torch.where(lost[:, None], w["dec_mask_token"], bridged) for lost in mask.remasked]
        made = [self.conv("decoder.gat_layers.0", view, dense_edges(graphs, None))[mask.hidden] for view in views]
        return sum((sce(m, x[mask.hidden], self.config.gamma) for m in made), x.new_zeros(())), sce(predicted, target)

    def move(self) -> None:
        for name, own in self.weights.items():
            if "_ema" in name:
                student = self.weights[name.replace("_ema", "")].detach()
                own.mul_(self.config.momentum).add_((1 - self.config.momentum) * student)


def sce(x: Tensor, y: Tensor, gamma: float = 1.0) -> Tensor:
    return (1 - (F.normalize(x, dim=-1) * F.normalize(y, dim=-1)).sum(-1)).pow(gamma).mean()
