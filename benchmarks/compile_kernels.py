"""Compiles the Triton kernels for GPUs that need not be there and prints what came out: python -m benchmarks.compile_kernels

Registers, spilled bytes and shared memory of the program; of its machine code the barriers (BAR), shuffles (SHFL), reductions
of a warp in one instruction (REDUX), and the lengths of its loops in instructions. Needs Triton only (3.6: it brings the
assembler and the disassembler), no GPU and no CUDA.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

TARGETS = (80, 90)


@dataclass(frozen=True)
class Configuration:
    """A kernel with its constants, and how it is launched."""

    name: str
    kernel: Any
    constants: dict[str, Any]
    warps: int
    fused: bool = False


def configurations() -> Iterator[Configuration]:
    """What the default sizes of the library use."""
    from mm3d.ops.kernels import ball_query, chamfer, earth_mover, knn
    from mm3d.ops.kernels import farthest_point_sample as fps

    for block in (1024, 2048, 8192, 16384):
        warps = fps.warps(block)
        yield Configuration(f"FPS, {block} points", fps.sample_kernel, {"SKIP": True, "BLOCK": block}, warps)
    for block, width in ((1024, 32), (2048, 32), (8192, 32), (16384, 32)):
        yield Configuration(
            f"kNN, {block} points, k = {width}", knn.knn_kernel, {"BLOCK": block, "WIDTH": width}, knn.warps(block)
        )
    yield Configuration("ball query, k = 32", ball_query.ball_query_kernel, {"WIDTH": 32, "BLOCK": ball_query.BLOCK}, 1)
    for size in (32, 1024):
        rows, columns, warps = chamfer.tile(size, size)
        constants = {"ROWS": rows, "COLUMNS": columns}
        yield Configuration(f"Chamfer, {size} points", chamfer.nearest_kernel, constants, warps)
        yield Configuration(f"Chamfer gradient, {size} points", chamfer.gradient_kernel, constants, warps, True)
    for size in (32, 128):
        yield Configuration(
            f"earth mover, {size} points", earth_mover.auction_kernel, {"BLOCK": size}, earth_mover.warps(size), True
        )


# Types of the arguments, where they are not the default: a pointer to float32.
INTEGERS = ("size", "count", "wanted", "k", "size_a", "size_b", "tiles_a")
REALS = ("first", "shrink", "tolerance")
LONG = ("picks", "index", "to_a", "to_b", "partner")


def compiled(configuration: Configuration, target: int) -> Any:
    """The kernel for sm_<target>."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel, signature = configuration.kernel, {}
    for name in kernel.arg_names:
        if name in configuration.constants:
            signature[name] = "constexpr"
        elif name == "first" and "picks" in kernel.arg_names:
            signature[name] = "*i64"
        else:
            integer = "i32" if name in INTEGERS else "fp32" if name in REALS else None
            signature[name] = integer or ("*i64" if name in LONG else "*fp32")
    source = ASTSource(fn=kernel, signature=signature, constexprs=configuration.constants)
    options = {"num_warps": configuration.warps, "enable_fp_fusion": configuration.fused}
    return triton.compile(source, target=GPUTarget("cuda", target, 32), options=options)


def figures(cubin: bytes) -> dict[str, str]:
    """What the assembler's output says."""
    import triton

    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _said(tools / "cuobjdump", "-res-usage", file.name)
        code = _said(tools / "nvdisasm", "-c", file.name)
    registers, stack, local = (re.search(rf"{word}:(\d+)", usage) for word in ("REG", "STACK", "LOCAL"))
    assert registers
    spilled = sum(int(found[1]) for found in (stack, local) if found)
    counts = {word: len(re.findall(rf"\b{word}\b", code)) for word in ("BAR", "SHFL", "REDUX")}
    return {
        "registers": registers[1],
        "spilled": str(spilled),
        "barriers": str(counts["BAR"]),
        "shuffles": str(counts["SHFL"]),
        "REDUX": str(counts["REDUX"]),
        "loops": ", ".join(str(length) for length in loops(code)) or "none",
    }


def loops(code: str) -> list[int]:
    """Instructions from the target of every backward branch to the branch, shortest first; outer loops count inner ones."""
    place, labels, lengths = 0, {}, {}
    for line in code.splitlines():
        if label := re.match(r"(\.L_\w+):", line.strip()):
            labels[label[1]] = place
        elif re.match(r"\s*/\*[0-9a-f]+\*/", line):
            place += 1
            target = re.search(r"\bBRA\b.*`\((\.L_\w+)\)", line)
            if target and target[1] in labels and place - labels[target[1]] > 1:  # the last branches to itself
                lengths[target[1]] = place - labels[target[1]]
    return sorted(lengths.values())


def _said(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def table() -> list[str]:
    """Lines of a Markdown table."""
    head = ["kernel", "warps", "target", "registers", "spilled", "barriers", "shuffles", "REDUX", "loops"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for configuration in configurations():
        for target in TARGETS:
            said = figures(compiled(configuration, target).asm["cubin"])
            lines.append(
                f"| {configuration.name} | {configuration.warps} | sm_{target} | " + " | ".join(said.values()) + " |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Compile the Triton kernels for sm_80 and sm_90")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table and the version here")
    given = parser.parse_args()
    lines = table()
    print("\n".join(lines))
    if given.json:
        said = {"versions": {"triton": metadata.version("triton")}, "table": lines}
        given.json.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
