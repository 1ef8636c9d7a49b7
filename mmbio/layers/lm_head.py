"""The head of masked language models."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.token_masks import TokenMask
from mmbio.sequences import Sequences


class LMHead(nn.Module):
    """Linear, GELU, layer norm, and the products with the token embeddings: (T, C) -> (M, K) logits of the hidden tokens.

    Args:
        dim: C.
        embedding: of K tokens, (K, C); its weights are not copied: both train them.
        eps: of the layer norm.

    Source: Devlin et al., "BERT", in the form of RobertaLMHead of fair-esm.
    """

    def __init__(self, dim: int, embedding: nn.Embedding, eps: float = 1e-5) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.weight = embedding.weight
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, latent: Tensor, inputs: Sequences, mask: TokenMask) -> Tensor:
        return self.logits(latent[mask.hidden_index])

    def logits(self, latent: Tensor) -> Tensor:
        """(N, C) -> (N, K), of all tokens that are given."""
        return F.linear(self.norm(F.gelu(self.dense(latent))), self.weight, self.bias)
