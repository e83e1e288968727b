"""Isaac Lab without a simulator: `isaaclab.sh` with the real argument parsers, Hydra, rsl_rl and skrl, on a cart-pole.

`make_lab(folder)` lays out one installation as the image has it, under the folder that ISAACLAB_PATH names. What a test
needs it to do is said by environment variables:

| variable | effect |
|---|---|
| STANDIN_PYTHON | the interpreter of `isaaclab.sh -p`: that of `environments.install` |
| STANDIN_SUCCESS | `timeout`: an episode succeeds if the pole stands to its end; unset: there is no success term |
| STANDIN_STEPS | the most steps of an episode (250); with a few, no pole falls |
| STANDIN_STEP_SECONDS | how long a step takes (0): a training that a test cuts off does not need more of them |
| STANDIN_SKRL_MINIMUM | the version of skrl below which the script exits 0 without training |
"""

import shutil
from pathlib import Path

LAB = Path(__file__).parent / "lab"
SCRIPT = """import os, sys
sys.path.insert(0, os.environ["ISAACLAB_PATH"])
from standin import scripts
scripts.{}
"""


def make_lab(folder: Path) -> Path:
    """Lay out an installation of Isaac Lab 2.3 in an empty folder; return the path of its isaaclab.sh."""
    for action in ("train", "play"):
        for backend in ("rsl_rl", "skrl"):
            file = folder / "scripts/reinforcement_learning" / backend / f"{action}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(SCRIPT.format(f'run("{backend}", "{action}")'))
    for package in ("standin", "isaaclab_rl"):
        shutil.copytree(LAB / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "VERSION").write_text("2.3.2\n")
    return Path(shutil.copy(LAB / "isaaclab.sh", folder))
