"""Writes the measured tables and the picture of benchmarks/README.md from benchmarks/results: python -m benchmarks.render"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
README = FOLDER / "README.md"
PICTURE = FOLDER / "speed.png"
ORDER = (
    "farthest_point_sample",
    "knn",
    "chamfer",
    "earth_mover",
    "point_mae_step",
    "esm2_step",
    "esm2_forward",
    "gat_layer",
    "graphmae_epoch",
    "sparse_conv",
    "tokenise_clouds",
    "tokenise_molecules",
)


def loaded(device: str) -> dict[str, dict[str, Any]]:
    """Result files of a device by the name of the script, in the order of the table."""
    found = {path.name.split(".")[0]: path for path in sorted(RESULTS.glob(f"*.{device}.json"))}
    names = [n for n in ORDER if n in found] + [n for n in found if n not in ORDER and n != "growth"]
    return {name: json.loads(found[name].read_text()) for name in names}


def speed_table(cpu: dict[str, dict[str, Any]], gpu: dict[str, dict[str, Any]]) -> list[str]:
    """A line for every case and peer."""
    lines = [
        "| what | peer | goal | one thread | all threads | GPU |",
        "|---|---|---|---|---|---|",
    ]
    for name in {**cpu, **gpu}:
        title = (cpu.get(name) or gpu[name])["title"]
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for row in (*cpu.get(name, {}).get("rows", ()), *gpu.get(name, {}).get("rows", ())):
            column = "GPU" if row["device"] == "cuda" else "one" if row["threads"] == 1 else "all"
            for peer, side in row["peers"].items():
                entry = rows.setdefault((row["name"], peer), {})
                entry[column] = f"{side['ratio']:.2f}x ({ms(row['ours']['ms'])} / {ms(side['ms'])})"
                if side["goal"] and column != "all":
                    said = f"{entry['goal']}; {side['goal']:g}x GPU" if "goal" in entry else f"{side['goal']:g}x"
                    entry["goal"] = said
        for (case, peer), entry in rows.items():
            cells = (entry.get("goal", ""), *(entry.get(column, "not measured") for column in ("one", "all", "GPU")))
            lines.append(f"| {title}: {case} | {peer} | " + " | ".join(cells) + " |")
    return lines


def ms(value: float) -> str:
    return f"{value / 1e3:.2f} s" if value >= 1e3 else f"{value:.1f} ms" if value >= 1 else f"{value:.3f} ms"


def machines(results: list[dict[str, Any]]) -> list[str]:
    """Machine and versions, each once."""
    lines = []
    for said in results:
        versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
        lines.append(f"- {said['machine']}; {versions}")
    return sorted(set(lines))


def growth_table() -> list[str]:
    lines = ["| what | sizes | one step, ms | exponent | of the last tenfold |", "|---|---|---|---|---|"]
    for path in sorted(RESULTS.glob("growth.*.json")):
        for row in json.loads(path.read_text())["rows"]:
            sizes = " / ".join(f"{size:,}" for size in row["sizes"])
            times = " / ".join(f"{value:,.1f}" for value in row["ms"])
            exponents = f"{row['exponent']:.2f} | {row['last_exponent']:.2f}"
            lines.append(f"| {row['name']} ({row['device']}) | {sizes} {row['unit']} | {times} | {exponents} |")
    return lines if len(lines) > 2 else []


def picture(cpu: dict[str, dict[str, Any]], gpu: dict[str, dict[str, Any]]) -> None:
    """Ratios against the first peer as bars, the goals as ticks."""
    from core.reporting.palette import CATEGORICAL, INK
    from core.reporting.png import new_figure, plain_axes, save_png

    bars: dict[str, dict[str, float]] = {}
    goals: dict[str, float] = {}
    for results in (cpu, gpu):
        for said in results.values():
            for row in (row for row in said["rows"] if row["peers"]):
                side = "GPU" if row["device"] == "cuda" else "one thread" if row["threads"] == 1 else "all threads"
                peer, first = next(iter(row["peers"].items()))
                label = f"{said['title']}: {row['name']}\nagainst {peer}"
                bars.setdefault(label, {})[side] = first["ratio"]
                if first["goal"] and side == "one thread":
                    goals[label] = first["goal"]
    sides = [s for s in ("one thread", "all threads", "GPU") if any(s in bar for bar in bars.values())]
    figure = new_figure(10, 0.45 * len(bars) + 1)
    axes = figure.subplots()
    plain_axes(axes)
    height = 0.8 / len(sides)
    for number, side in enumerate(sides):
        places = [i + (number - (len(sides) - 1) / 2) * height for i, bar in enumerate(bars.values()) if side in bar]
        values = [bar[side] for bar in bars.values() if side in bar]
        axes.barh(places, values, height, color=CATEGORICAL[number], label=side)
        for place, value in zip(places, values, strict=True):
            axes.text(value * 1.03, place, f"{value:.1f}", va="center", fontsize=6, color=INK)
    places = [list(bars).index(label) for label in goals]
    axes.plot(list(goals.values()), places, "|", color=INK, markersize=14, label="goal, one thread")
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(bars)), list(bars), fontsize=6.5)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlabel("times as fast as the peer", fontsize=9, color=INK)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    figure.tight_layout()
    save_png(figure, PICTURE)


def kernel_table() -> list[str]:
    file = RESULTS / "kernels.json"
    if not file.is_file():
        return []
    said = json.loads(file.read_text())
    return [f"triton {said['versions']['triton']}.", "", *said["table"]]


def put(text: str, name: str, lines: list[str]) -> str:
    """The text with the lines between the two marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{README}: no marks {begin} and {end}")
    body = "\n".join(["", *lines, ""]) if lines else "\n"
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{body}\n{end}", text, flags=re.DOTALL)


def render() -> None:
    cpu, gpu = loaded("cpu"), loaded("cuda")
    text = README.read_text()
    text = put(text, "speed", [*machines([*cpu.values(), *gpu.values()]), "", *speed_table(cpu, gpu)])
    text = put(text, "growth", growth_table())
    text = put(text, "kernels", kernel_table())
    README.write_text(text)
    if cpu or gpu:
        picture(cpu, gpu)


if __name__ == "__main__":
    render()
