"""Prediction of classes or values of sequences, or of classes of residues, on the encoder of any pretrained model."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from core.config import from_dict
from core.dropout import Dropout
from core.saving import MODEL, Pretrained, class_named
from mmbio.config import SequencePredictorConfig
from mmbio.models import classes
from mmbio.readers import Reader


class SequencePredictor(Pretrained, nn.Module):
    """Features of sequences (the mean over their own tokens or atoms) or of residues, through dropout and a linear layer or two.

    The encoder is the pretrained model without its objectives: what its ``embed`` and ``encode`` compute, with gradient.

    Shapes: ``forward(batch)``: (B, K), or for residues (R, K) of the sequences' own tokens one after the other. Values are
    standardised; ``in_units`` gives them in the units of the labels.

    Raises:
        UserError: the configuration names no model of mmbio, or is not one of its.
    """

    Config = SequencePredictorConfig
    names_hidden = False
    shift: Tensor
    scale: Tensor

    def __init__(self, config: SequencePredictorConfig) -> None:
        super().__init__()
        self.config = config
        kind = class_named(config.system, classes(), MODEL, "mmbio")
        self.encoder = kind(from_dict(kind.Config, config.model, f"{MODEL}: model"))
        self.encoder.objectives = nn.ModuleDict()  # heads of the pretraining are not fine-tuned, and not saved again
        self.encoder.requires_grad_(not config.freeze)
        outputs, dropout = len(config.classes), Dropout(config.dropout)
        if config.hidden:
            hidden = nn.Linear(config.width, config.hidden)
            self.head = nn.Sequential(dropout, hidden, nn.GELU(), dropout, nn.Linear(config.hidden, outputs))
        else:
            self.head = nn.Sequential(dropout, nn.Linear(config.width, outputs))
        self.register_buffer("shift", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))

    @property
    def reader(self) -> Reader:
        """How the encoder reads texts."""
        return self.encoder.reader

    def train(self, mode: bool = True) -> Self:
        """Training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze:
            self.encoder.eval()
        return self

    def encode(self, batch: Any) -> Tensor:
        """Features of all tokens: (T, C)."""
        return self.encoder.encode(batch)

    def embed(self, batch: Any) -> Tensor:
        """Features of sequences: (B, C)."""
        return self.encoder.embed(batch)

    def own_tokens(self, batch: Any) -> Tensor:
        """(T,) bool: the tokens of the text itself."""
        return self.encoder.own_tokens(batch)

    def features(self, batch: Any) -> Tensor:
        """What the head reads: (B, C), or for residues (R, C)."""
        return self.encode(batch)[self.own_tokens(batch)] if self.config.task == "residues" else self.embed(batch)

    def forward(self, batch: Any) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze):
            features = self.features(batch)
        return self.head(features)

    def in_units(self, outputs: Tensor) -> Tensor:
        """Outputs as they are read: chances of classes, chances of yes, or values in the units of the labels."""
        if self.config.task == "values":
            return outputs.float() * self.scale + self.shift
        return outputs.float().sigmoid() if self.config.task == "binary" else outputs.float().softmax(-1)
