"""The figures of the data plane, one module each, and what they share; the stand-ins are those of the tests."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
