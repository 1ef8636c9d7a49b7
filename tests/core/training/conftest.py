"""Lets the tests of training, and the processes they start, share one tiny system."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
