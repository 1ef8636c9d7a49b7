"""Recipes: found by name, checked by their dataclass, overridden on the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from core.cli import recipes
from core.cli.recipes import all_recipes, find_recipe, parse_recipe, read_recipe
from core.errors import UserError
from core.training.config import OptimConfig


@dataclass
class Encoder:
    dim: int = 8
    """Width."""


@dataclass
class Model:
    encoder: Encoder = field(default_factory=Encoder)
    """The encoder."""
    mask: Literal["random", "block"] = "random"
    """Which tokens are hidden."""
    layers: tuple[int, ...] = (1, 2)
    """Which layers are read."""


@dataclass
class Kind:
    data: str = "furniture"
    """What to train on."""
    model: Model = field(default_factory=Model)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr_update="epoch"))


EXTRA: dict[str, tuple[Any, Any, str]] = {"out": (str, None, "run folder"), "resume": (bool, False, "go on")}
TEXT = "# Somebody et al., 2024\n# parameters: 12\nmodel: {mask: block, encoder: {dim: 16}}\noptim: {lr: 0.01}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "masked.yaml").write_text(TEXT)
    (tmp_path / "configs" / "other.yaml").write_text("data: x\n")
    monkeypatch.setattr(recipes, "recipe_folder", lambda domain: tmp_path / "configs")
    return tmp_path / "configs"


def parsed(*words: str, values: dict[str, Any] | None = None) -> tuple[Kind, dict[str, Any]]:
    recipe = find_recipe("mm3d", "masked")
    recipe = recipe if values is None else recipe._replace(values=values)
    return parse_recipe(recipe, Kind, "mm3d pretrain masked", list(words), EXTRA)


def test_recipes_are_found_by_name_path_and_run_folder(folder: Path, tmp_path: Path) -> None:
    by_name = find_recipe("mm3d", "masked")
    assert by_name.name == "masked"
    assert by_name.paper == "Somebody et al., 2024"
    assert by_name.values == {"model": {"mask": "block", "encoder": {"dim": 16}}, "optim": {"lr": 0.01}}
    assert find_recipe("mm3d", str(folder / "masked.yaml")) == by_name
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(TEXT)
    assert find_recipe("mm3d", str(run)).name == "mine"
    assert find_recipe("mm3d", str(run)).values == by_name.values
    assert [r.name for r in all_recipes("mm3d")] == ["masked", "other"]
    assert all_recipes("mm3d")[1].paper == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [("a: [", "not readable as YAML"), ("- 1", "expected keys and values"), ("", "expected keys and values"),
     ("a: !!python/object/apply:os.system ['true']", "not readable as YAML"), (b"\xff\xfe\x00", "not readable as YAML")],
)  # fmt: skip
def test_unreadable_recipes(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        find_recipe("mm3d", str(tmp_path / "none.yaml"))


def test_unknown_recipes() -> None:
    with pytest.raises(UserError, match="no recipe 'maskd' for mm3d; did you mean 'masked'"):
        find_recipe("mm3d", "maskd")
    with pytest.raises(UserError, match="no recipe 'zzz' for mm3d; known: masked, other"):
        find_recipe("mm3d", "zzz")


def test_defaults_then_recipe_then_command_line() -> None:
    kind, options = parsed()
    assert kind == Kind(model=Model(Encoder(16), "block", (1, 2)), optim=OptimConfig(lr=0.01, lr_update="epoch"))
    assert options == {"out": None, "resume": False}
    kind, options = parsed(
        "--model.encoder.dim", "32", "--model.layers=[3]", "--optim.betas", "[0.8,0.9]", "--optim.clip_norm=2",
        "--out", "o", "--resume", "--data=y",
    )  # fmt: skip
    assert kind == Kind(
        "y",
        Model(Encoder(32), "block", (3,)),
        OptimConfig(lr=0.01, lr_update="epoch", betas=(0.8, 0.9), clip_norm=2.0),
    )
    assert options == {"out": "o", "resume": True}


def test_an_effective_configuration_is_a_recipe_again(tmp_path: Path) -> None:
    kind, _ = parsed("--model.layers=[3,4]", "--optim.betas", "[0.8,0.9]")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(str(dataclasses.asdict(kind)).replace("(", "[").replace(")", "]")
                                                  .replace("None", "null"))))  # fmt: skip
    assert parse_recipe(read_recipe(path), Kind, "p", [], {})[0] == kind


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"modle": {}}, "unknown key 'modle'; did you mean 'model'?"),
        ({"model": {"encodr": {}}}, "unknown key 'model.encodr'; did you mean 'encoder'?"),
        ({"model": {"encoder": {"dmi": 3}}}, "unknown key 'model.encoder.dmi'; did you mean 'dim'?"),
        ({"zzz": 1}, "unknown key 'zzz'; known here: data, model, optim"),
        ({"model": 3}, "model is a section with keys of its own, got 3"),
        ({"model": None}, "model is a section with keys of its own, got None"),
        ({"model": {"encoder": {"dim": "wide"}}}, "model.encoder.dim: expected a whole number, got wide"),
        ({"model": {"mask": "blok"}}, "model.mask: expected one of 'random', 'block', got blok"),
        ({"optim": {"lr": -1}}, "optim.lr -1.0: expected at least 0"),
        (
            {"optim": {"betas": [0.9, 1.5]}},
            "optim.betas [0.9, 1.5]: expected two numbers, at least 0 and less than 1",
        ),
        ({"optim": {"lr": None}}, "optim.lr has no value"),
        ({"data": 3}, "data: expected text, got 3"),
    ],
)
def test_mistakes_in_a_recipe_name_it(folder: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        parsed(values=values)
    assert str(caught.value) == f"{folder / 'masked.yaml'}: {said}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--model.encoder.dimm=3"],
            "unknown option --model.encoder.dimm; did you mean '--model.encoder.dim'?",
        ),
        (["--optim.lrr", "1"], "unknown option --optim.lrr; did you mean '--optim.lr'?"),
        (["--optim.l", "1"], "unknown option --optim.l; did you mean '--optim.lr'?"),
        (["--optim.lr", "high"], "optim.lr: expected a finite number, got high"),
        (["--model.mask", "blok"], "model.mask: expected one of 'random', 'block', got blok"),
        (["--optim.lr", "-1"], "--optim.lr -1.0: expected at least 0"),
        (["words"], "unrecognized arguments: words"),
    ],
)
def test_mistakes_on_the_command_line(words: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        parsed(*words)
    assert str(caught.value) == said


def test_help_shows_every_option_with_the_value_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "Somebody et al., 2024" in shown
    for name, line in {
        "--model.encoder.dim": "Width. (type: int, default: 16)",
        "--model.mask": "Which tokens are hidden. (type: Literal['random', 'block'], default: block)",
        "--model.layers": "Which layers are read. (type: tuple[int, ...], default: (1, 2))",
        "--optim.lr": "Peak learning rate. (type: float, default: 0.01)",
        "--data": "What to train on. (type: str, default: furniture)",
        "--out": "run folder (type: str, default: null)",
    }.items():
        assert name in shown
        assert line in shown
    for option in dataclasses.fields(OptimConfig):
        assert f"--optim.{option.name} " in shown
