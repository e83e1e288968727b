"""What is killed again and again, a module each, and the loop that they share; the engines are those of the tests."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "slurm")]
