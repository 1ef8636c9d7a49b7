"""Records by their names, each of which stands for one thing."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from mmbio.proteins.alphabet import capitals
from mmbio.proteins.fasta import Record, read_fasta


class Named:
    """What was met under every name.

    Args:
        skipped: takes a line for every record that is there again.
    """

    def __init__(self, skipped: list[str]) -> None:
        self.skipped = skipped
        self.first: dict[str, tuple[object, str]] = {}

    def is_new(self, name: str, content: object, where: str) -> bool:
        """Whether a name is met for the first time. A record that says the same again is counted as left out.

        Args:
            content: what the record says, its letters for one.
            where: file and line.

        Raises:
            UserError: the name stands for something else already, with both lines.
        """
        known, first = self.first.setdefault(name, (content, where))
        if first == where:
            return True
        if known != content:
            raise UserError(
                f"{where}: {name!r} is there already and says something else ({first}); expected one record a name"
            )
        self.skipped.append(f"{where}: {name!r} is there already and says the same ({first})")
        return False


def records_by_name(path: Path, skipped: list[str]) -> dict[str, Record]:
    """The records of a FASTA file by name, by the rule of :class:`Named`; a letter's case is no difference.

    Args:
        skipped: takes a line for every record that is there again.

    Raises:
        UserError: what :func:`~mmbio.proteins.fasta.read_fasta` and :meth:`Named.is_new` raise.
    """
    names = Named(skipped)
    return {
        record.name: record
        for record in read_fasta(path)
        if names.is_new(record.name, capitals(record.text), f"{path}, line {record.line}")
    }
