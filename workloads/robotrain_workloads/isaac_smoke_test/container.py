"""`isaac-smoke-test` in the container: the command, its tracking run, and the checks that the command runs.

`python -m robotrain_workloads.isaac_smoke_test.container` prints a line for each check. The first fault ends it. The
simulator is not started.
"""

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.isaac import installation
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

ANSWER_SECONDS = 60
AZURE_SCOPE = "https://management.azure.com/.default"
AZURE_SCHEME = "azureml:"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
LONGEST_REASON = 300


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the command of the checks. The tracking address may hold a password: it is no argument."""
    values = document.parameters
    own = [f"--{name.replace('_', '-')}={values[name]}" for name in ("isaaclab_path", "backend") if values[name]]
    tracking = {"MLFLOW_TRACKING_URI": document.placement.tracking_uri} if document.placement.tracking_uri else {}
    return WorkCommand(
        arguments=("-m", __name__, f"--min-gpus={values['min_gpus']}", *own), environ={**installation.TERMS, **tracking}
    )


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    values = document.parameters
    return TrackingSpec(
        experiment="isaaclab-smoke-test",
        run_name=document.run,
        params={"min_gpus": values["min_gpus"]},
        tags={"entrypoint": "isaaclab.sh"},
        machine=bool(values["system_metrics"]),
    )


class CheckFailed(Exception):
    """A check has failed; its text is the reason, as a sentence without an end."""


def check_versions(given: str | None, backend: str) -> str:
    """Return the versions of Isaac Lab and its libraries. Raise CheckFailed."""
    try:
        folder = installation.find_installation(given)
        probe = installation.probe(folder)
    except OSError as error:
        raise CheckFailed(str(error)) from error
    names = installation.PACKAGES
    problems = {name: next(installation.find_version_problems(folder, name, probe), None) for name in names}
    if backend and (problem := problems[backend]):
        raise CheckFailed(str(problem))
    if all(problems.values()):
        raise CheckFailed("; ".join(found.title for found in problems.values() if found))
    packages = ", ".join(f"{name} {version or 'not installed'}" for name, version in probe.versions.items())
    return f"Isaac Lab {installation.read_version(folder) or installation.choose_series(folder)}, {packages}"


def check_gpus(wanted: int) -> str:
    """Return the names of the GPUs. Raise CheckFailed."""
    if not wanted:
        return "not checked: --min-gpus 0"
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except FileNotFoundError:
        raise CheckFailed("nvidia-smi was not found: the machine has no NVIDIA driver") from None
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"nvidia-smi did not answer within {ANSWER_SECONDS} s") from None
    if answer.returncode:
        output = _shorten(answer.stdout + answer.stderr)
        raise CheckFailed(f"nvidia-smi ended with exit code {answer.returncode}: {output}")
    found = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if len(found) < wanted:
        raise CheckFailed(f"{len(found)} GPU{'s' * (len(found) != 1)}, but {wanted} needed")
    return "; ".join(found)


def check_terms() -> str:
    """Return which of NVIDIA's terms are accepted. Raise CheckFailed."""
    missing = [name for name, value in installation.TERMS.items() if os.environ.get(name) != value]
    if missing:
        raise CheckFailed(f"NVIDIA's terms are not accepted: {' and '.join(missing)} not set")
    return "NVIDIA's license and privacy terms are accepted"


def check_identity() -> str:
    """Return whether the job's Azure identity gives a token. Raise CheckFailed."""
    if not os.environ.get(TRACKING_VARIABLE, "").startswith(AZURE_SCHEME):
        return "not needed: the run is not tracked in Azure ML"
    identity: Any = importlib.import_module("azure.identity")
    try:
        identity.DefaultAzureCredential(exclude_interactive_browser_credential=True).get_token(AZURE_SCOPE)
    except Exception as error:
        raise CheckFailed(f"no token of Azure: {type(error).__name__}: {_shorten(str(error))}") from error
    return "Azure gives a token" + (" to AZURE_CLIENT_ID" if os.environ.get("AZURE_CLIENT_ID") else "")


def check_tracking() -> str:
    """Return how many experiments the tracking server shows. Raise CheckFailed."""
    address = os.environ.get(TRACKING_VARIABLE, "")
    if not address:
        return "off: --tracking-uri none"
    mlflow: Any = importlib.import_module("mlflow")
    try:
        mlflow.MlflowClient(tracking_uri=address).search_experiments(max_results=1)
    except Exception as error:
        raise CheckFailed(f"MLflow does not answer: {type(error).__name__}: {_shorten(str(error))}") from error
    return f"MLflow {mlflow.__version__} answers"


def _shorten(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def main(arguments: Sequence[str]) -> None:
    """Run the checks. Raise SystemExit with the first fault."""
    parser = argparse.ArgumentParser(prog="checks", allow_abbrev=False)
    parser.add_argument("--isaaclab-path")
    parser.add_argument("--backend", default="", help="the library that must be there")
    parser.add_argument("--min-gpus", type=int, default=1)
    options = parser.parse_args(arguments)
    checks: dict[str, Callable[[], str]] = {
        "versions": partial(check_versions, options.isaaclab_path, options.backend),
        "GPU": partial(check_gpus, options.min_gpus),
        "EULA": check_terms,
        "identity": check_identity,
        "tracking": check_tracking,
    }
    for name, check in checks.items():
        try:
            emit_event(Note(level="info", text=f"{name}: {check()}"))
        except CheckFailed as error:
            raise SystemExit(f"error: {name}: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
