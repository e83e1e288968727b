"""Isaac Lab 2.3's play script of rsl_rl."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))
from standin.scripts import run

run("rsl_rl", "play")
