"""Data about the versions of Isaac Lab that a job can use: a folder of each in `versions`, `v2_3` for 2.3.

`tasks.json` has the tasks by name. Each has `agents`, the entry points of its agents (`rsl_rl`, `skrl_ippo`);
`default`, the library that it is trained with unless told; `deprecated`, what replaces it; `assets`, the paths below
the asset root that its configuration names, without those of a window; `simulator`, `isaacsim` if it starts that by
default; `newton`, the preset of physics that starts Newton instead; `cameras`, whether they must be turned on. Fields
that are empty are left out. Beside the tasks, `assets` has the paths of files that their name tells apart.

`options.json` has, for `train` and `play`, the options of each library's script with the kind of their values: empty
for a switch, else as `option_kinds` names it. `selectors` are the keys that choose presets.

3.0's files are written by `.ci/export_isaac.py`; those of 2.3 by hand, from its documentation and its scripts.
"""

import functools
import json
from pathlib import Path
from typing import Any

VERSIONS = ("2.3", "3.0")
FOLDER = Path(__file__).parent / "versions"
LIBRARIES = ("rl_games", "rsl_rl", "sb3", "skrl", "torchrl")
"""Those that train tasks."""


@functools.cache
def load_tasks(version: str) -> dict[str, Any]:
    """Return the content of `tasks.json`."""
    return _load_file(version, "tasks.json")


@functools.cache
def load_options(version: str) -> dict[str, Any]:
    """Return the content of `options.json`."""
    return _load_file(version, "options.json")


def _load_file(version: str, name: str) -> dict[str, Any]:
    version_data: dict[str, Any] = json.loads(
        (FOLDER / f"v{version.replace('.', '_')}" / name).read_text(encoding="utf-8")
    )
    return version_data
