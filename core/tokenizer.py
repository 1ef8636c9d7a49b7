"""Tokenizers: a learned vocabulary of tokens, trained first and predicted by a masked model afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.masking import Mask
from core.random import Randomness
from core.teachers import FrozenTeacher


class TokenizerOutput(NamedTuple):
    """What a tokenizer returns.

    ``loss`` is the weighted sum, ``parts`` the unweighted terms by name (detached), ``ids`` the int64 code of every token,
    ``decoded`` what the decoder made of the codes.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    ids: Tensor
    decoded: Any


class Tokenizer(nn.Module):
    """Encoder, quantizer and decoder: what every token of a batch is in a learned vocabulary, and back.

    A system subclasses this once. Random draws of the forward pass are made outside of it (:meth:`draw_noise`) and can be
    given, so that every result can be replayed. It is trained by the ``tokenize`` command and saved as any model; a masked model
    takes it as a frozen target, :class:`TokenIds`.

    Source: van den Oord et al., "Neural Discrete Representation Learning", Section 3; Bao et al., "BEiT", Section 2.1.
    """

    @property
    def codes(self) -> int:
        """Size of the vocabulary."""
        raise NotImplementedError

    def inputs(self, batch: Any) -> Any:
        """A batch as the tokens that get ids: what the masked model's own ``tokenize`` makes of it."""
        return batch

    def draw_noise(self, batch: Any, randomness: Randomness = None) -> Tensor | None:
        """The random draws of one forward pass, on the CPU; None where there are none."""
        return None

    def forward(self, batch: Any, noise: Tensor | None = None) -> TokenizerOutput:
        """Loss of a batch.

        Args:
            batch: what :meth:`inputs` takes.
            noise: what :meth:`draw_noise` gives; None for none.
        """
        raise NotImplementedError

    def ids(self, inputs: Any) -> Tensor:
        """The code of every token, int64; the same every time: dense (B, N), packed (T,)."""
        raise NotImplementedError

    def reconstruct(self, batch: Any) -> Any:
        """What the codes of a batch decode to, in the units of the data, for looking at."""
        raise NotImplementedError

    def after_step(self, steps: int) -> None:
        """Move what follows a schedule, a temperature say, after so many steps. A buffer keeps it, so that resuming is exact."""


class TokenIds(FrozenTeacher):
    """A frozen tokenizer as the target of an objective: ``target(inputs, mask)`` gives the ids of the hidden tokens, (M,) int64.

    Args:
        tokenizer: it is copied, and always in evaluation mode.
    """

    module: Tokenizer

    @torch.no_grad()
    def forward(self, inputs: Any, mask: Mask) -> Tensor:
        return self.module.ids(inputs).flatten()[mask.hidden_index]


@torch.no_grad()
def count_codes(tokenizer: Tokenizer, batches: Iterable[Any]) -> Tensor:
    """How many tokens of some batches have each code: (K,) int64 on the CPU; the tokenizer is left in the mode it was in.

    :func:`core.quantizers.usage` makes shares and perplexity of it.
    """
    training = tokenizer.training
    tokenizer.eval()
    counts = torch.zeros(tokenizer.codes, dtype=torch.int64)
    for batch in batches:
        counts += torch.bincount(tokenizer.ids(tokenizer.inputs(batch)).flatten().cpu(), minlength=tokenizer.codes)
    tokenizer.train(training)
    return counts
