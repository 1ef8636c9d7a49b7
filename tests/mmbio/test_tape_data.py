"""TAPE's tasks from JSON files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from mmbio.data.sets import LabelledSequences
from mmbio.data.sources import load, load_texts

LABELS: dict[str, Any] = {"ss3": [0, 1, 2, 2], "fold_label": 3, "log_fluorescence": [1.5], "stability_score": [-0.5]}


def write(folder: Path, name: str, parts: list[str], column: str, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(parts):
        records = [
            {"primary": "ACD" + "EFG"[number], "id": f"{part}{i}", column: LABELS[column], **more}
            for i in range(2 + number)
        ]
        (folder / f"{name}_{part}.json").write_text(json.dumps(records))
    return folder


@pytest.mark.parametrize(
    ("name", "test", "column", "task"),
    [
        ("secondary_structure", "cb513", "ss3", "residues"),
        ("remote_homology", "test_fold_holdout", "fold_label", "classes"),
        ("fluorescence", "test", "log_fluorescence", "values"),
        ("stability", "test", "stability_score", "values"),
    ],
)
def test_tasks(tmp_path: Path, name: str, test: str, column: str, task: str) -> None:
    data = load(f"tape:{write(tmp_path / 'x', name, ['train', 'valid', test], column)}")
    assert isinstance(data, LabelledSequences)
    assert (data.task, len(data)) == (task, 9)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [2, 3, 4]
    assert data.texts[0] == "ACDE"
    if task == "values":
        assert data.labels.shape == (9, 1)
    if task == "classes":
        assert (data.labels.tolist(), len(data.classes)) == ([3] * 9, 4)
    texts = load_texts(f"tape:{tmp_path / 'x'}")
    assert (len(texts), texts.held_out) == (5, (2, 3, 4))


def test_unresolved_residues_have_no_label_and_a_test_file_can_be_named(tmp_path: Path) -> None:
    folder = write(tmp_path, "secondary_structure", ["train", "valid", "casp12"], "ss3", valid_mask=[1, 1, 0, 1])
    (folder / "secondary_structure_valid.json.gz").write_bytes(
        gzip.compress((folder / "secondary_structure_valid.json").read_bytes())
    )
    (folder / "secondary_structure_valid.json").unlink()
    data = load(f"tape:{folder / 'secondary_structure_casp12.json'}")
    assert data.labels[0].tolist() == [0, 1, -1, 2]
    assert data.called(5) == "secondary_structure_casp12/casp120"
    with pytest.raises(UserError, match=r"secondary_structure_cb513\.json: no such file"):
        load(f"tape:{folder}")


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of TAPE's tasks"):
        load(f"tape:{tmp_path}")
    (tmp_path / "fluorescence_train.lmdb").mkdir()
    with pytest.raises(UserError, match="pickles that could execute code"):
        load(f"tape:{tmp_path}")
    write(tmp_path, "fluorescence", ["train", "valid", "test"], "log_fluorescence")
    file = tmp_path / "fluorescence_valid.json"
    for content, expected in [
        ("[{", "fluorescence_valid.json: not JSON"),
        ("{}", "expected a list of records"),
        ('[{"primary": "ACD"}]', "record 0: expected a sequence 'primary' and 'log_fluorescence'"),
        ('[{"primary": "AC1", "log_fluorescence": [1]}]', "record 0: character '1' at place 3"),
        ('[{"primary": "ACD", "log_fluorescence": []}]', "record 0: "),
        ('[{"primary": "ACD", "log_fluorescence": ["x"]}]', "record 0: could not convert"),
        ('[{"primary": "ACD", "log_fluorescence": [NaN]}]', "record 0: nan; expected a finite number"),
    ]:
        file.write_text(content)
        with pytest.raises(UserError, match=expected):
            load(f"tape:{tmp_path}")
    folder = write(tmp_path / "ss", "secondary_structure", ["train", "valid", "cb513"], "ss3")
    (folder / "secondary_structure_train.json").write_text('[{"primary": "AC", "ss3": [0]}]')
    with pytest.raises(UserError, match=r"secondary_structure_train\.json, record 0: 1 labels for 2 residues"):
        load(f"tape:{folder}")
    write(folder, "stability", ["train"], "stability_score")
    with pytest.raises(UserError, match="files of secondary_structure and stability"):
        load(f"tape:{folder}")
