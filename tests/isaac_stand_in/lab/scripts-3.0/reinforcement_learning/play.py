"""Isaac Lab 3.0's one play script."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from standin.scripts import run_3_0

run_3_0("play")
