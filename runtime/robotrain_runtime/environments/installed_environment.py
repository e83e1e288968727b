"""An environment that nobody builds: a Python of this machine, or of its image, that has what the job needs."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.environments import interpreter

PROBE = """import importlib.metadata as metadata, importlib.util, json, sys
versions, modules = {}, []
for name in json.loads(sys.argv[1]):
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
for name in json.loads(sys.argv[2]):
    if importlib.util.find_spec(name):
        modules.append(name)
print(json.dumps({"versions": versions, "modules": modules}))
"""
PROBE_SECONDS = 30.0
IMAGE_PYTHONS = ("*/bin/python", "*/envs/*/bin/python")
"""Below /opt, where images have environments that PATH does not name."""


def find_installed_python(required: PythonEnvironment) -> Path | None:
    """Return the first Python here that has the required packages and modules; None if there is none."""
    return next((python for python in _list_pythons() if not explain_missing(python, required)), None)


def explain_missing(python: Path, required: PythonEnvironment) -> str:
    """Return what a Python lacks, as a sentence without a subject; empty if it lacks nothing."""
    answer = _probe(python, required)
    if answer is None:
        return "does not exist or does not run"
    versions, modules = answer["versions"], answer["modules"]
    for name, version in required.required_packages.items():
        if not f"{versions.get(name, '')}.".startswith(f"{version}."):
            found = f"has {name} {versions[name]}" if name in versions else f"does not have {name}"
            return f"{found}; the job needs version {version}"
    missing = [name for name in required.required_modules if name not in modules]
    return f"does not have {' and '.join(missing)}" if missing else ""


def _list_pythons() -> Iterator[Path]:
    """Yield the Pythons of an image, each once: the chosen one alone, or those of PATH and of usual folders."""
    if chosen := interpreter.get_chosen_interpreter():
        yield chosen
        return
    active = os.environ.get("VIRTUAL_ENV")
    candidates = [
        *([Path(active, "bin", "python")] if active else []),
        *interpreter.list_on_path(interpreter.PLAIN_NAMES),
        interpreter.get_started_interpreter(),
        *(python for pattern in IMAGE_PYTHONS for python in sorted(Path("/opt").glob(pattern))),
    ]
    seen = set[str]()
    for python in candidates:
        place = os.path.join(os.path.realpath(python.parent), python.name)
        if place not in seen and os.access(python, os.X_OK):
            seen.add(place)
            yield python


def _probe(python: Path, required: PythonEnvironment) -> dict[str, Any] | None:
    names = (json.dumps(list(required.required_packages)), json.dumps(list(required.required_modules)))
    command = [str(python), "-I", "-c", PROBE, *names]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL, check=True
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return answer if isinstance(answer, dict) else None
