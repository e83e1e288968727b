"""Print the versions of Isaac Lab's libraries, and what a checkpoint holds: `isaaclab.sh -p probe.py [FILE]`.

Run by Isaac Lab's Python, without the simulator. A checkpoint is only read as weights: no code in it runs.
"""

import importlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version


def read_versions() -> dict[str, str]:
    """Return the version of each library; empty for a missing one."""
    found = {}
    for name in ("rsl-rl-lib", "skrl", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def describe_checkpoint(path: str) -> dict[str, object]:
    """Return the backend and the iteration of a checkpoint, or the problem with it."""
    torch = importlib.import_module("torch")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first = str(error).strip().splitlines()[:1]
        return {"problem": f"it cannot be read as weights: {type(error).__name__}: {' '.join(first)}"}
    if not isinstance(content, dict):
        return {"problem": "it is not a checkpoint of rsl_rl or skrl"}
    if "model_state_dict" in content or "actor_state_dict" in content:
        return {"backend": "rsl_rl", "iteration": int(content.get("iter", 0))}
    if "policy" in content:
        return {"backend": "skrl"}
    return {"problem": "it is not a checkpoint of rsl_rl or skrl"}


def print_answer(checkpoint: "dict[str, object]") -> None:
    """Print the versions and what is known of a checkpoint, for `installation.ask_program`."""
    print("::isaac-probe:: " + json.dumps({"versions": read_versions(), "checkpoint": checkpoint}), flush=True)


if __name__ == "__main__":
    print_answer(describe_checkpoint(sys.argv[1]) if sys.argv[1:] else {})
