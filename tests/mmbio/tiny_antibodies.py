"""Small antibodies that tests share."""

from __future__ import annotations

import json
from pathlib import Path

import torch

FRAMEWORK = ("EVQLVESGGGLVQPGGSLRLSCAAS", "MSWVRQAPGKGLEWVSA", "YYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC", "WGQGTLVTVSS")


def random_antibodies(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Heavy chains with one framework and random loops: (residues, regions)."""
    draws = torch.Generator().manual_seed(seed)

    def loop(letters: str, length: int) -> str:
        return "".join(letters[int(torch.randint(len(letters), (), generator=draws))] for _ in range(length))

    found = []
    for number in range(count):
        loops = (loop("GFTSY", 8), loop("ISGT", 8), loop("ARDYWFGTVLKE", 9 + number % 5))
        parts = [FRAMEWORK[0], loops[0], FRAMEWORK[1], loops[1], FRAMEWORK[2], loops[2], FRAMEWORK[3]]
        regions = "".join(str(i // 2 + 1 if i % 2 else 0) * len(part) for i, part in enumerate(parts))
        found.append(("".join(parts), regions))
    return found


def write_antibodies(path: Path, chains: list[tuple[str, str]]) -> str:
    """JSON lines; the source word."""
    lines = [json.dumps({"pdb": f"a{i}", "seq": seq, "cdr": cdr}) for i, (seq, cdr) in enumerate(chains)]
    path.write_text("\n".join(lines) + "\n")
    return f"antibodies:{path}"
