"""The official GMAE for nodes on one graph: one node and one head at a time, on its official names."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgraph.config import GMAEConfig
from mmgraph.graph import Graphs


def floyd_warshall(edges: list[tuple[int, int]], nodes: int) -> list[list[float]]:
    length = [[0.0 if i == j else math.inf for j in range(nodes)] for i in range(nodes)]
    for i, j in edges:
        if i != j:
            length[i][j] = 1.0
    for k in range(nodes):
        for i in range(nodes):
            for j in range(nodes):
                length[i][j] = min(length[i][j], length[i][k] + length[k][j])
    return length


def official_weights(config: GMAEConfig) -> dict[str, Tensor]:
    torch.manual_seed(1)
    dim, weights = config.dim, {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        weights[f"{name}.weight"] = torch.randn(outputs, inputs, dtype=torch.float64) / math.sqrt(inputs)
        weights[f"{name}.bias"] = torch.randn(outputs, dtype=torch.float64) / 3

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = 1 + torch.randn(dim, dtype=torch.float64) / 3
        weights[f"{name}.bias"] = torch.randn(dim, dtype=torch.float64) / 3

    linear("input_proj", config.width, dim)
    for table, width in (("spatial_pos", config.heads), ("in_degree", dim), ("out_degree", dim)):
        weights[f"{table}_encoder.weight"] = torch.randn(512, width, dtype=torch.float64)
    for stack, depth in (("encoder", config.depth), ("decoder", config.decoder_depth)):
        for layer in range(depth):
            at = f"{stack}_layers.{layer}"
            norm(f"{at}.self_attention_norm")
            for part in ("linear_q", "linear_k", "linear_v", "output_layer"):
                linear(f"{at}.self_attention.{part}", dim, dim)
            norm(f"{at}.ffn_norm")
            linear(f"{at}.ffn.layer1", dim, dim)
            linear(f"{at}.ffn.layer2", dim, dim)
        norm(f"{stack}_final_ln")
    linear("encoder_to_decoder", dim, dim)
    weights["mask_token"] = torch.randn(1, 1, dim, dtype=torch.float64)
    linear("out_proj", dim, config.width)
    return weights


class Reference:
    """The official model on one graph without padding."""

    def __init__(self, weights: dict[str, Tensor], config: GMAEConfig, graph: Graphs) -> None:
        self.weights = weights
        self.config = config
        self.x = graph.x + 1  # as the official collator does
        self.nodes = len(graph.x)
        edges = sorted({*zip(*graph.edge_index.tolist(), strict=True)})
        self.length = floyd_warshall(edges, self.nodes)
        into = [sum(j == node for _, j in edges) for node in range(self.nodes)]
        out = [sum(i == node for i, _ in edges) for node in range(self.nodes)]
        tables = (weights["in_degree_encoder.weight"], weights["out_degree_encoder.weight"])
        self.places = tables[0][[degree + 1 for degree in into]] + tables[1][[degree + 1 for degree in out]]

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def bias(self, i: int, j: int, head: int) -> float:
        if self.length[i][j] == math.inf:
            return (
                -math.inf
                if self.config.unreachable == "cut"
                else float(self.weights["spatial_pos_encoder.weight"][511, head])
            )
        return float(self.weights["spatial_pos_encoder.weight"][int(self.length[i][j]) + 1, head])

    def stack(self, name: str, depth: int, x: Tensor, nodes: list[int]) -> Tensor:
        width = self.config.dim // self.config.heads
        for layer in range(depth):
            at = f"{name}_layers.{layer}"
            y = self.norm(f"{at}.self_attention_norm", x)
            query, key, value = (self.linear(f"{at}.self_attention.linear_{p}", y) for p in "qkv")
            mixed = torch.zeros_like(x)
            for head in range(self.config.heads):
                part = slice(head * width, (head + 1) * width)
                for row, i in enumerate(nodes):
                    scores = [
                        float(query[row, part] @ key[column, part]) / math.sqrt(width) + self.bias(i, j, head)
                        for column, j in enumerate(nodes)
                    ]
                    mixed[row, part] = torch.tensor(scores, dtype=torch.float64).softmax(0) @ value[:, part]
            x = x + self.linear(f"{at}.self_attention.output_layer", mixed)
            y = self.linear(f"{at}.ffn.layer1", self.norm(f"{at}.ffn_norm", x))
            x = x + self.linear(f"{at}.ffn.layer2", F.gelu(y))
        return self.norm(f"{name}_final_ln", x)

    def encode(self, nodes: list[int]) -> Tensor:
        x = self.linear("input_proj", self.x[nodes]) + self.places[nodes]
        return self.stack("encoder", self.config.depth, x, nodes)

    def reconstruct(self, hidden: list[int]) -> Tensor:
        visible = [node for node in range(self.nodes) if node not in hidden]
        seen = self.linear("encoder_to_decoder", self.encode(visible)) + self.places[visible]
        token = self.weights["mask_token"][0] + self.places[hidden]
        decoded = self.stack("decoder", self.config.decoder_depth, torch.cat([seen, token]), visible + hidden)
        return self.linear("out_proj", decoded[len(visible) :])
