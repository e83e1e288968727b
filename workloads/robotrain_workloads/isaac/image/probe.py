"""Print the versions of Isaac Lab's libraries. Run by Isaac Lab's Python, without the simulator."""

import json
from importlib.metadata import PackageNotFoundError, version

versions = {}
for name in ("rsl-rl-lib", "skrl", "stable-baselines3", "torch"):
    try:
        versions[name] = version(name)
    except PackageNotFoundError:
        versions[name] = ""
print("::isaac-probe:: " + json.dumps(versions), flush=True)
