"""Print the versions of Isaac Lab's libraries. Run by Isaac Lab's Python, without the simulator."""

import json
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


def print_answer(checkpoint: "dict[str, object]") -> None:
    """Print the versions and what is known of a checkpoint, for `installation.ask_program`."""
    print("::isaac-probe:: " + json.dumps({"versions": read_versions(), "checkpoint": checkpoint}), flush=True)


if __name__ == "__main__":
    print_answer({})
