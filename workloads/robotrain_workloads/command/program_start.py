"""The start of a job's program on its node: its environment, its command, and why it cannot be started."""

import os
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import robotrain_runtime
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE
from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR, emit_note
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import ChildGroup
from robotrain_runtime.tracking.address import resolve_address

from robotrain_workloads.command import launcher, placeholders, program_spec
from robotrain_workloads.command.program_packages import can_import_mlflow, list_packages
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.nodes import node_launch
from robotrain_workloads.nodes.node_group import NODES_VARIABLE, JobNodes

REPORT_VARIABLE = "ROBOTRAIN_REPORT"
"""The file that `robotrain_runtime.report` writes to."""
OWN_VARIABLES = (
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "UV",
    PROGRAM_PYTHON_VARIABLE,
    EVENTS_DESCRIPTOR,
    NODES_VARIABLE,
    program_spec.SPEC_VARIABLE,
)
"""Variables of the supervisor, by which the program would import robotrain's packages in place of its own."""
MLFLOW_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
LEAD_VARIABLES = (REPORT_VARIABLE, *MLFLOW_VARIABLES)
"""Those by which a program reports: of several nodes, the first alone."""
NODE_PROGRAM = "robotrain_workloads.command.node_program"
NOT_FOUND = 127
"""The exit code of a program that is not there, as in a shell."""
REPORT_FOLDER = "program-packages"
REPORT_FILES = ("__init__.py", "report.py")
MLFLOW_URI = MLFLOW_VARIABLES[0]
EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_NAME"
"""Azure ML sets it; MLflow refuses one that is not the experiment's."""


class NotStarted(Exception):
    """The program cannot be started. The message says why."""

    def __init__(self, text: str, exit_code: int = NOT_FOUND) -> None:
        super().__init__(f"error: {text}")
        self.exit_code = exit_code


def make_environ(spec: ProgramSpec) -> dict[str, str]:
    """Return the environment variables of the program: those of the machine, without robotrain's own packages."""
    inherited = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    if python := os.environ.get(PROGRAM_PYTHON_VARIABLE):
        scripts = Path(python).parent
        inherited |= {
            "VIRTUAL_ENV": str(scripts.parent),
            "PATH": f"{scripts}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        }
    report = str(Path(spec.work, program_spec.REPORT_FILE))
    environ = {**inherited, "PYTHONUNBUFFERED": "1", REPORT_VARIABLE: report, **spec.environ}
    packages = list_packages(spec.arguments[0], environ, Path(spec.folder))
    return add_report_package(add_mlflow_variables(environ, packages), packages, Path(spec.work))


def add_report_package(environ: dict[str, str], packages: Mapping[str, str], work: Path) -> dict[str, str]:
    """Return the variables of a program that can import `robotrain_runtime.report`."""
    if "robotrain-runtime" in packages:
        return environ
    try:
        folder = str(make_report_package(work))
    except OSError as error:
        emit_note(f"the program cannot import robotrain_runtime.report: {error}", "warning")
        return environ
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), folder)))}


def add_node_variables(environ: dict[str, str], spec: ProgramSpec, group: JobNodes) -> dict[str, str]:
    """Return the variables of the program on its node: the group's, and threads for the processes of torchrun."""
    variables = {**environ, **placeholders.make_variables(list_node_values(group), ())}
    if group.rank:
        variables = {name: value for name, value in variables.items() if name not in LEAD_VARIABLES}
    if spec.values["launcher"]:
        threads = hardware.count_threads(launcher.count_processes(spec.values), environ=variables)
        variables[hardware.THREADS_VARIABLE] = str(threads)  # torchrun itself would take one
    return variables


def list_node_values(group: JobNodes) -> dict[str, placeholders.Value]:
    """Return the values of the placeholders about a node and its group."""
    return {
        placeholders.NUM_NODES: str(group.count),
        placeholders.NODE_RANK: str(group.rank),
        placeholders.MASTER_ADDR: group.address,
        placeholders.MASTER_PORT: str(group.port),
    }


def make_node_arguments(spec: ProgramSpec, group: JobNodes) -> tuple[str, ...]:
    """Return the command of one of several nodes."""
    if spec.values["shell"]:
        return spec.arguments
    words = tuple(placeholders.fill_arguments(spec.arguments, {**spec.fields, **list_node_values(group)}))
    if spec.values["launcher"]:
        return launcher.make_command(words, launcher.count_processes(spec.values), group)
    return words


def start_program(
    spec: ProgramSpec, environ: dict[str, str], group: JobNodes | None, *, has_pipe: bool = False
) -> ChildGroup:
    """Start the program on this node, or the starter of all nodes. Raise NotStarted.

    :param group: that of a job of several nodes, with the rank of this one; None for one node, or for the starter.
    """
    arguments, folder = spec.arguments, Path(spec.folder)
    if group:
        arguments = make_node_arguments(spec, group)
        environ = add_node_variables(environ, spec, group)
    elif spec.node_launcher:
        return ChildGroup(make_starter_command(spec), has_pipe=has_pipe)
    try:
        return ChildGroup(arguments, environ=environ, folder=folder, has_pipe=has_pipe)
    except FileNotFoundError:
        raise NotStarted(f"the program {arguments[0]} is not in the environment of the job") from None
    except OSError as error:
        failure_text = f"the program {arguments[0]} cannot be started: {error.strerror}"
        raise NotStarted(failure_text, NOT_FOUND - 1) from error


def make_starter_command(spec: ProgramSpec) -> list[str]:
    """Return the command that starts the program on all nodes of a job, from the first one."""
    words = ["-m", NODE_PROGRAM]
    options = node_launch.make_starter_arguments(
        spec.nodes, spec.node_launcher, Path(spec.work), words, stops_by_file=True
    )
    return [sys.executable, *options]


def make_report_package(work: Path) -> Path:
    """Return the folder to import it from. Raise OSError."""
    folder = work / REPORT_FOLDER / robotrain_runtime.__name__
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(str(robotrain_runtime.__file__)).parent
    for name in REPORT_FILES:
        shutil.copyfile(source / name, folder / name)
    return folder.parent


def add_mlflow_variables(environ: Mapping[str, str], packages: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the program with those of the run, or without any if it cannot write there.

    :param environ: with the run that the job is tracked as, if the job asked for it (`WorkCommand.joins_tracking`).
    """
    if not all(environ.get(name) for name in MLFLOW_VARIABLES) or not can_import_mlflow(packages):
        return dict(environ)

    other_variables = {
        name: value for name, value in environ.items() if name not in (*MLFLOW_VARIABLES, EXPERIMENT_NAME)
    }
    try:
        uri = resolve_address(environ[MLFLOW_URI])
        obstacle = find_obstacle(uri, packages)
    except OSError as error:
        uri, obstacle = "", f"{redact_address(environ[MLFLOW_URI])} cannot be reached: {error}"
    if obstacle:
        emit_note(f"what the program logs to MLflow itself is not in this run: {obstacle}")
        return other_variables
    return {**other_variables, **{name: environ[name] for name in MLFLOW_VARIABLES}, MLFLOW_URI: uri}


def find_obstacle(uri: str, packages: Mapping[str, str]) -> str:
    """Return why the program's MLflow cannot write to an address; empty if it can."""
    scheme = urlsplit(uri).scheme
    if scheme == "azureml" and "azureml-mlflow" not in packages:
        return "its environment has no azureml-mlflow, which MLflow needs for Azure ML: add it to your requirements"
    if scheme != "sqlite":
        return ""

    version = metadata.version("mlflow-skinny")
    program_version = packages.get("mlflow") or packages["mlflow-skinny"]
    if program_version.split(".")[:2] != version.split(".")[:2]:  # another one would change the tables, or refuse them
        return (
            f"its MLflow is {program_version}, and the file with the runs is of MLflow {version}: install "
            f"mlflow=={version}"
        )
    return "" if "sqlalchemy" in packages else "its MLflow has no sqlalchemy: install mlflow in place of mlflow-skinny"
