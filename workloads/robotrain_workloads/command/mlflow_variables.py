"""The variables by which a program's own MLflow writes to the run that the job is tracked as."""

from collections.abc import Callable, Mapping
from importlib import metadata
from urllib.parse import urlsplit

from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.event import Note, emit_event
from robotrain_runtime.tracking.address import resolve_address

from robotrain_workloads.command.program_packages import ProgramPackages

VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
URI = VARIABLES[0]
EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_NAME"
"""Azure ML sets it; MLflow refuses one that is not the experiment's."""


def set_variables(
    environ: Mapping[str, str], packages: ProgramPackages, names_mlflow: Callable[[], bool] = lambda: True
) -> dict[str, str]:
    """Return the variables of the program with those of the run, or without any if it cannot write there.

    :param environ: with the run that the job is tracked as, if the job asked for it (`WorkCommand.joins_tracking`).
    :param names_mlflow: returns whether the program is known to log there: only then an obstacle is said.
    """
    if not all(environ.get(name) for name in VARIABLES) or not packages.has("mlflow"):
        return dict(environ)

    other_variables = {name: value for name, value in environ.items() if name not in (*VARIABLES, EXPERIMENT_NAME)}
    try:
        uri = resolve_address(environ[URI])
        obstacle = find_obstacle(uri, packages)
    except OSError as error:
        uri, obstacle = "", f"{redact_address(environ[URI])} cannot be reached: {error}"
    if obstacle and names_mlflow():
        emit_event(Note(level="warning", text=f"what the program logs to MLflow itself is not in this run: {obstacle}"))
    if obstacle:
        return other_variables
    return {**other_variables, **{name: environ[name] for name in VARIABLES}, URI: uri}


def find_obstacle(uri: str, packages: ProgramPackages) -> str:
    """Return why the program's MLflow cannot write to an address; empty if it can."""
    scheme = urlsplit(uri).scheme
    if scheme == "azureml" and not packages.has("azureml/mlflow"):
        return "its environment has no azureml-mlflow, which MLflow needs for Azure ML: add it to your requirements"
    if scheme != "sqlite":
        return ""

    version = metadata.version("mlflow-skinny")
    program_version = packages.get_version("mlflow")
    if program_version.split(".")[:2] != version.split(".")[:2]:  # another one would change the tables, or refuse them
        installed_version = program_version or "unknown"
        return (
            f"its MLflow is {installed_version}, and the file with the runs is of MLflow {version}: install "
            f"mlflow=={version}"
        )
    return (
        "" if packages.has("sqlalchemy") else "its MLflow has no sqlalchemy: install mlflow in place of mlflow-skinny"
    )
