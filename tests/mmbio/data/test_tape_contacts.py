"""TAPE's contact task on tiny files in its form."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UserError
from mmbio.data.sources import load
from mmbio.data.structures import StructureSet
from mmbio.proteins.structures import contacts


def record(text: str, step: float = 3.0, **change: Any) -> dict[str, Any]:
    """Residues on a straight line."""
    places = [[step * place, 0.0, 0.0] for place in range(len(text))]
    return {"primary": text, "tertiary": places, "valid_mask": [True] * len(text), "id": text[:3], **change}


def write(folder: Path, **parts: list[dict[str, Any]]) -> str:
    for part, records in parts.items():
        (folder / f"proteinnet_{part}.json").write_text(json.dumps(records))
    return f"tape_contacts:{folder}"


def test_parts_places_and_masks(tmp_path: Path) -> None:
    masked = record("MKVLA", valid_mask=[True, True, False, True, True])
    source = write(tmp_path, train=[masked, record("GGSAT")], test=[record("WWYYF")])
    (tmp_path / "proteinnet_valid.json.gz").write_bytes(gzip.compress(json.dumps([record("PPPQR")]).encode()))
    data = load(source)
    assert isinstance(data, StructureSet)
    assert [data.texts[i] for i in data.fit] == ["MKVLA", "GGSAT", "PPPQR"]
    assert [data.texts[i] for i in data.scored] == ["WWYYF"]
    near, known = contacts(data.betas[0])
    assert not known[2].any()
    assert not known[:, 2].any()
    assert near[0].tolist() == [True, True, False, False, False]  # 3 angstrom a residue, below 8
    assert np.isnan(data.betas[0][2]).all()


def test_what_is_scored_is_not_fitted_on(tmp_path: Path) -> None:
    data = load(write(tmp_path, train=[record("MKVLA"), record("GGSAT")], test=[record("MKVLA", 4.0)]))
    assert [data.texts[i] for i in data.fit] == ["GGSAT"]
    assert "1 to fit on, whose sequences are scored" in data.skipped[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"tertiary": [[0, 0, 0]]},
            r"proteinnet_train.json, record 0: tertiary \(1, 3\) and valid_mask \(5,\) for 5 residues",
        ),
        ({"valid_mask": [True]}, r"record 0: tertiary \(5, 3\) and valid_mask \(1,\)"),
        ({"tertiary": [["a", 0, 0]] * 5}, "record 0: could not convert"),
        ({"primary": 3}, "record 0: expected a sequence 'primary' and 'tertiary'"),
        ({"primary": "M?K"}, "record 0: "),
    ],
)
def test_bad_records(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    source = write(tmp_path, train=[record("MKVLA") | change], test=[record("WWYYF")])
    with pytest.raises(UserError, match=said):
        load(source)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load(f"tape_contacts:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match=r"proteinnet_train.json: no such file"):
        load(f"tape_contacts:{tmp_path}")
    (tmp_path / "proteinnet_train.lmdb").mkdir()
    with pytest.raises(UserError, match="pickles that could execute code"):
        load(f"tape_contacts:{tmp_path}")
