"""Isaac Lab 2.3's train script of skrl."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))
from standin.scripts import run

run("skrl", "train")
