"""Change modules right after they are imported: no library that trains may be imported before the simulator starts.

Launchers run it from its file with `runpy`: Isaac Lab's Python has none of robotrain's packages.
"""

import importlib
import importlib.abc
import importlib.util
import json
import os
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Change = Callable[[Any], None]
RSL_RL = "rsl_rl.runners.on_policy_runner"
SKRL = "skrl.utils.runner.torch.runner"
SB3 = "stable_baselines3.ppo.ppo"
"""What runs a training, by library: the module whose class is changed."""
SB3_SCALING = "stable_baselines3.common.vec_env.vec_normalize"
ENTRY_POINTS = ("train", "play")
TASKS_VARIABLE = "ROBOTRAIN_ISAAC_TASKS"
"""The user's own tasks, as `isaac/user_code.py` writes it."""


class ImportHook(importlib.abc.MetaPathFinder):
    """Calls a function with a module of a name right after it was imported."""

    def __init__(self, changes: Mapping[str, Change]) -> None:
        self._changes = dict(changes)

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Return the spec of a module that is to be changed."""
        if name not in self._changes:
            return None
        change = self._changes.pop(name)
        spec: Any = importlib.util.find_spec(name)
        loader: Any = spec.loader

        class Loader(importlib.abc.Loader):
            def create_module(self, spec: Any) -> Any:
                return loader.create_module(spec)

            def exec_module(self, module: Any) -> None:
                loader.exec_module(module)
                change(module)

        spec.loader = Loader()
        return spec


def import_own_tasks() -> None:
    """Import the modules that register the user's own tasks, as Isaac Lab does with those of installed packages."""
    tasks: dict[str, Any] = json.loads(os.environ.get(TASKS_VARIABLE) or "{}")
    if tasks:
        sys.path.insert(0, tasks["path"])
    for module in tasks.get("modules", ()):
        importlib.import_module(module)


def run_script(script: str, arguments: Sequence[str], changes: Mapping[str, Change]) -> None:
    """Run a script of Isaac Lab as it would run itself; the module of a runner is changed when it is imported.

    changes: by the module, such as RSL_RL.
    script: its path, or the name of an entry point, `train` or `play`, of an Isaac Lab that has them.
    """
    sys.meta_path.insert(0, ImportHook(changes))
    if script in ENTRY_POINTS:
        entry_points: Any = importlib.import_module("isaaclab_rl.entrypoints.dispatch")
        sys.argv = [f"isaaclab {script}", *arguments]
        del sys.path[0]  # the launcher's folder
        import_own_tasks()
        sys.exit(entry_points.run_cli(script, list(arguments)))
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
