"""Quantizers: continuous features as ids of a finite vocabulary, and back."""

from core.quantizers.finite_scalar import FiniteScalarQuantizer
from core.quantizers.grouped import GroupedQuantizer
from core.quantizers.gumbel import GumbelQuantizer
from core.quantizers.quantized import Quantized, Usage, usage
from core.quantizers.vector import VectorQuantizer

__all__ = [
    "FiniteScalarQuantizer",
    "GroupedQuantizer",
    "GumbelQuantizer",
    "Quantized",
    "Usage",
    "VectorQuantizer",
    "usage",
]
