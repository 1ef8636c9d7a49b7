"""What a model takes and what it can say, in one place, and whether data is for it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from core.errors import UserError
from mmbio.data.msa import MSASet
from mmbio.data.sets import AntibodySet
from mmbio.data.structures import StructureSet
from mmbio.data.variants import VariantSet
from mmbio.models.msa_transformer import MSATransformer

Kind = Literal["protein", "molecule", "alignment"]


class Takes(NamedTuple):
    """What a model reads, whether it names hidden tokens, and whether it has attention maps."""

    kind: Kind
    names_hidden: bool
    has_maps: bool


def takes(model: Any) -> Takes:
    """Of any model of mmbio."""
    if isinstance(model, MSATransformer):
        return Takes("alignment", True, True)
    return Takes(model.reader.kind, model.names_hidden, hasattr(model, "attention_maps"))


def kind_of(data: Any) -> Kind:
    """What a data set is of."""
    if isinstance(data, MSASet):
        return "alignment"
    if isinstance(data, AntibodySet | StructureSet | VariantSet):
        return "protein"
    return data.kind


def name_of(data: Any) -> str:
    """What messages call a data set."""
    return data.sequences.name if isinstance(data, AntibodySet) else data.name


def check_kind(model: Any, data: Any) -> None:
    """See that a model reads what a data set is of.

    Raises:
        UserError: it does not.
    """
    given, wanted = kind_of(data), takes(model).kind
    if given != wanted:
        raise UserError(f"{name_of(data)}: {given}s; expected {wanted}s for {type(model).__name__}")


def check_names_hidden(model: Any, where: str) -> None:
    """See that a model names hidden tokens.

    Raises:
        UserError: it does not.
    """
    if not takes(model).names_hidden:
        raise UserError(
            f"{where}: {type(model).__name__} names no hidden tokens; expected a masked language model, or labelled data"
        )


def check_maps(model: Any, where: str) -> None:
    """See that a model has attention maps.

    Raises:
        UserError: it has none.
    """
    if not takes(model).has_maps:
        raise UserError(f"{where}: {type(model).__name__} has no attention maps to read contacts from")
