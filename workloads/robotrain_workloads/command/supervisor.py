"""Run the program of a job and follow it: `python -m robotrain_workloads.command.supervisor`.

It runs in an environment of its own beside the program's: it starts the program as a process group, passes its output
and a stop on, and turns what the program leaves into events.
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE
from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR, Note, emit_event
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import ChildGroup

from robotrain_workloads.command import attempts, launcher, mlflow_variables, placeholders, program_spec, report_package
from robotrain_workloads.command.checkpoint_follower import CheckpointFollower
from robotrain_workloads.command.metric_follower import MetricFollower
from robotrain_workloads.command.metric_patterns import LineReader
from robotrain_workloads.command.program_packages import ProgramPackages, find_python
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.command.results import ResultsFollower
from robotrain_workloads.supervision.output_pipe import OutputLines, forward_output
from robotrain_workloads.supervision.process_group import GroupFollower
from robotrain_workloads.supervision.program_folder import provide_folder

POLICY_VARIABLE = f"ROBOTRAIN_{placeholders.POLICY.upper()}"
"""The folder of the policy."""
REPORT_VARIABLE = "ROBOTRAIN_REPORT"
"""The file that `robotrain_runtime.report` writes to."""
OWN_VARIABLES = (
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "UV",
    PROGRAM_PYTHON_VARIABLE,
    EVENTS_DESCRIPTOR,
    program_spec.SPEC_VARIABLE,
)
"""Variables of the supervisor, by which the program would import robotrain's packages in place of its own."""
NOT_FOUND = 127
"""The exit code of a program that is not there, as in a shell."""
LAST_OUTPUT_SECONDS = 2.0
"""How long the output is read after the program's end: a process that left its group may keep it open."""
MARGIN_SECONDS = 2.0
"""How much earlier than the supervisor the program is killed after a stop."""


class Follower(Protocol):
    """Follows one thing that the program leaves."""

    def read_new(self) -> None:
        """Read what is new, and send its events."""

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Read the rest once the program has ended; yield why the run failed, although it ended with 0.

        :param exit_code: the program's own, negative for a signal, also after a stop.
        """


def make_environ(spec: ProgramSpec) -> dict[str, str]:
    """Return the environment variables of the program: those of the machine, without robotrain's own packages."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    if python := os.environ.get(PROGRAM_PYTHON_VARIABLE):
        scripts = Path(python).parent
        kept |= {"VIRTUAL_ENV": str(scripts.parent), "PATH": f"{scripts}{os.pathsep}{kept.get('PATH', os.defpath)}"}
    report = str(Path(spec.work, program_spec.REPORT_FILE))
    own = {**kept, "PYTHONUNBUFFERED": "1", REPORT_VARIABLE: report, **spec.environ}
    packages = ProgramPackages(find_python(spec.arguments[0], own.get("PATH", os.defpath), Path(spec.folder)))
    return add_report_package(mlflow_variables.set_variables(own, packages), packages, Path(spec.work))


def add_report_package(environ: dict[str, str], packages: ProgramPackages, work: Path) -> dict[str, str]:
    """Return the variables of a program that can import `robotrain_runtime.report`."""
    if packages.has("robotrain_runtime"):
        return environ
    try:
        folder = str(report_package.make_report_package(work))
    except OSError as error:
        emit_event(Note(level="warning", text=f"the program cannot import robotrain_runtime.report: {error}"))
        return environ
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), folder)))}


def describe_missing_program(name: str, path: str) -> str:
    """Return why a program cannot be started, with what there is in its place."""
    pythons = [one for one in ("python", "python3", "bash", "uv", "torchrun") if shutil.which(one, path=path)]
    there = f"; there is {', '.join(pythons)}" if pythons else ""
    return f"error: the program {name} is not in the environment of the job{there}"


def make_followers(spec: ProgramSpec, lines: OutputLines, reader: LineReader | None) -> list[Follower]:
    """Return what follows a program. `lines` are those of its output, in which `reader` finds metrics."""
    report, outputs = Path(spec.work, program_spec.REPORT_FILE), Path(spec.outputs)
    metrics = MetricFollower(outputs=outputs, report=report, reader=reader, take_lines=lines.take_lines)
    followers: list[Follower] = [metrics, CheckpointFollower(spec, lambda: metrics.last_step)]
    if spec.values["results"]:  # the last: its folder has no checkpoint that is not reported yet
        followers.append(ResultsFollower(spec, spec.environ.get(POLICY_VARIABLE, "")))
    return followers


def make_line_reader(spec: ProgramSpec) -> LineReader | None:
    """Return what finds metrics in the program's output; None if nobody asked for that."""
    metrics, step = load_pairs(str(spec.values["metrics"] or "")), spec.values["step_pattern"]
    return LineReader(metrics, str(step or "")) if metrics or step else None


def run_program(spec: ProgramSpec) -> int:
    """Run the program to its end; return the exit code of this process."""
    try:
        provide_folder(Path(spec.folder), spec.code)
    except OSError as error:
        print(f"error: the code cannot be copied to {spec.folder}: {error}", flush=True)
        return 1
    environ = make_environ(spec)
    Path(spec.checkpoints).mkdir(parents=True, exist_ok=True)
    attempts.prepare_outputs(spec)
    if spec.values["launcher"] and (why := launcher.explain_missing_torch(spec.arguments[0], environ)):
        print(f"error: {why}", flush=True)
        return NOT_FOUND
    lines, reader = OutputLines(), make_line_reader(spec)
    followers = make_followers(spec, lines, reader)
    is_read = reader is not None  # else the program writes to the log itself, which costs nothing
    try:
        group = ChildGroup(spec.arguments, environ=environ, folder=Path(spec.folder), has_pipe=is_read)
    except FileNotFoundError:
        print(describe_missing_program(spec.arguments[0], environ.get("PATH", os.defpath)), flush=True)
        return NOT_FOUND
    except OSError as error:
        print(f"error: the program {spec.arguments[0]} cannot be started: {error.strerror}", flush=True)
        return NOT_FOUND - 1

    def read() -> bool:
        for follower in followers:
            follower.read_new()
        return False

    waiting = GroupFollower(group, max(1.0, child.get_grace_seconds() - MARGIN_SECONDS))
    forwarder = child.start_reader(forward_output, group.output, lines) if group.output else None
    try:
        waiting.run(read)
    except BaseException:
        group.send(signal.SIGKILL)  # nobody follows it any more
        raise
    if forwarder:
        forwarder.join(LAST_OUTPUT_SECONDS)
    code = waiting.exit_code
    own_code = group.exit_code or 0  # after a stop it says whether the program saved its work
    problems = [why for follower in followers for why in follower.finish(own_code, waiting.is_stopped)]
    for why in problems:
        print(f"error: {why}", flush=True)
    if code == 0 and problems:
        return 1
    return 128 - code if code < 0 else code


def main() -> int:
    """Run the program that the environment describes; return its exit code."""
    return run_program(program_spec.read_spec(os.environ[program_spec.SPEC_VARIABLE]))


if __name__ == "__main__":
    sys.exit(main())
