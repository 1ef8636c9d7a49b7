"""Systems, one file each, and the ways from a configuration or a saved model to its class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.saving import load_one_of

if TYPE_CHECKING:
    from torch import Tensor


def classes() -> tuple[type, ...]:
    """All models of mmbio; each has a configuration of its own kind."""
    from mmbio.models.abbert import AbBERT
    from mmbio.models.ac_mlm import ACMLM
    from mmbio.models.attr_masking import MoleculeAttrMasking
    from mmbio.models.cpcprot import CPCProt
    from mmbio.models.esm1b import ESM1b
    from mmbio.models.esm2 import ESM2
    from mmbio.models.mole_bert import MoleBert
    from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer
    from mmbio.models.molformer import MolFormer
    from mmbio.models.msa_transformer import MSATransformer
    from mmbio.models.pmlm import PMLM
    from mmbio.models.predictor import SequencePredictor
    from mmbio.models.smiles_bert import SmilesBert
    from mmbio.models.tape import Tape

    return (
        ACMLM,
        AbBERT,
        CPCProt,
        ESM1b,
        ESM2,
        MolFormer,
        MoleBert,
        MoleBertTokenizer,
        MoleculeAttrMasking,
        MSATransformer,
        PMLM,
        SequencePredictor,
        SmilesBert,
        Tape,
    )


def converters() -> dict[type, Callable[[dict[str, Tensor], Any], dict[str, Tensor]]]:
    """Models whose official state dicts `mmbio convert` takes: functions from official names and our model to our names."""
    from mmbio.models import (
        abbert_official,
        cpcprot_official,
        esm_official,
        molformer_official,
        msa_official,
        tape_official,
    )
    from mmbio.models.abbert import AbBERT
    from mmbio.models.attr_masking import MoleculeAttrMasking
    from mmbio.models.cpcprot import CPCProt
    from mmbio.models.esm1b import ESM1b
    from mmbio.models.esm2 import ESM2
    from mmbio.models.molformer import MolFormer
    from mmbio.models.msa_transformer import MSATransformer
    from mmbio.models.tape import Tape
    from mmgraph.models import attr_masking_official

    return {
        AbBERT: lambda weights, model: abbert_official.from_official(weights),
        CPCProt: lambda weights, model: cpcprot_official.from_official(weights),
        ESM1b: esm_official.from_official,
        ESM2: esm_official.from_official,
        MoleculeAttrMasking: attr_masking_official.with_heads,
        MolFormer: molformer_official.for_model,
        MSATransformer: lambda weights, model: msa_official.from_official(weights),
        Tape: lambda weights, model: tape_official.from_official(weights),
    }


def new_model(config: Any) -> Any:
    """An untrained model of the class that a configuration belongs to."""
    (kind,) = (kind for kind in classes() if kind.Config is type(config))  # type: ignore[attr-defined]
    return kind(config)


def load_model(source: str | Path) -> Any:
    """A saved model of any class of mmbio, in evaluation mode, from a run folder, a saved folder or a hub id.

    Raises:
        UserError: not a model of mmbio, or unreadable weights.
    """
    return load_one_of(classes(), source, "mmbio")
