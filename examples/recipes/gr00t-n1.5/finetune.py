"""Add the data config of this folder to Isaac-GR00T, and start NVIDIA's trainer with the arguments as they are."""

import runpy
import sys
from pathlib import Path

import gr00t.experiment.data_config as builtin

file = Path(__file__).with_name("data_config.py")
exec(compile(file.read_text(), str(file), "exec"), vars(builtin))  # as if it stood at the end of that module

script = Path(builtin.__file__).parents[2] / "scripts/gr00t_finetune.py"
sys.argv[0] = str(script)
runpy.run_path(str(script), run_name="__main__")
