from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mm3d


def test_importing_the_data_package_is_light() -> None:
    heavy = ["trimesh", "h5py", "matplotlib", "sklearn", "plotly", "open3d", "rich"]
    code = f"import sys, mm3d.data; print([m for m in {heavy} if m in sys.modules])"
    root = Path(mm3d.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
