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

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Processes, emit_event
from robotrain_runtime.contract.files import make_atomically
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.process import child

from robotrain_workloads.command import attempts, launcher, placeholders, program_spec, program_start
from robotrain_workloads.command.checkpoint_follower import CheckpointFollower
from robotrain_workloads.command.metric_follower import MetricFollower
from robotrain_workloads.command.metric_patterns import LineReader
from robotrain_workloads.command.parameters import is_continued
from robotrain_workloads.command.program_packages import list_packages
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.command.program_start import NotStarted
from robotrain_workloads.command.results import ResultsFollower
from robotrain_workloads.command.usual_output import UsualOutput
from robotrain_workloads.nodes import node_group
from robotrain_workloads.supervision.node_program import OTHER_LINE
from robotrain_workloads.supervision.output_pipe import OutputLines, forward_output
from robotrain_workloads.supervision.process_group import GroupFollower

POLICY_VARIABLE = f"ROBOTRAIN_{placeholders.POLICY.upper()}"
"""The folder of the policy."""
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


def make_followers(
    spec: ProgramSpec, output_lines: OutputLines, reader: LineReader | UsualOutput | None
) -> list[Follower]:
    """Return what follows a program. `output_lines` are those of its output, in which `reader` finds metrics."""
    report = Path(spec.work, program_spec.REPORT_FILE)
    outputs = Path(spec.outputs)

    def take_lines() -> list[bytes]:
        new_lines = output_lines.take_lines()
        return [line for line in new_lines if not OTHER_LINE.match(line)] if spec.node_launcher else new_lines

    is_continuing = bool(spec.resume) and is_continued(spec.values, spec.arguments)
    manifest = checkpoint.read_manifest(Path(spec.resume)) if is_continuing else None
    metrics = MetricFollower(
        outputs=outputs,
        report=report,
        reader=reader,
        take_lines=take_lines,
        resumed_step=manifest.step if manifest else 0,
    )
    followers: list[Follower] = [metrics, CheckpointFollower(spec, lambda: metrics.last_step)]
    if spec.values["results"]:  # the last: its folder has no checkpoint that is not reported yet
        followers.append(ResultsFollower(spec, spec.environ.get(POLICY_VARIABLE, "")))
    return followers


def make_line_reader(spec: ProgramSpec) -> LineReader | UsualOutput:
    """Return what finds metrics in the program's output: by the expressions of the job, else in what is usual."""
    metrics = load_pairs(str(spec.values["metrics"] or ""))
    step = spec.values["step_pattern"]
    return LineReader(metrics, str(step or "")) if metrics or step else UsualOutput()


def emit_processes(spec: ProgramSpec) -> None:
    """Send how many processes torchrun starts, which it waits for before it starts any; how they train is their own."""
    if (count := spec.nodes * launcher.count_processes(spec.values)) > 1:
        emit_event(Processes(count=count, nodes=spec.nodes, samples=0))


def run_program(spec: ProgramSpec) -> int:
    """Run the program to its end; return the exit code of this process."""
    try:
        provide_folder(Path(spec.folder), spec.code)
    except OSError as error:
        print(f"error: the code cannot be copied to {spec.folder}: {error}", flush=True)
        return 1
    environ = program_start.make_environ(spec)
    Path(spec.checkpoints).mkdir(parents=True, exist_ok=True)
    attempts.prepare_outputs(spec)
    packages = list_packages(spec.arguments[0], environ, Path(spec.folder)) if spec.values["launcher"] else {}
    if packages and "torch" not in packages:
        print("error: --launcher torchrun needs PyTorch, which the environment of the job does not have", flush=True)
        return program_start.NOT_FOUND
    group = node_group.read_group()
    output_lines = OutputLines()
    is_lead = group is None or group.rank == 0
    reader = make_line_reader(spec) if is_lead else None
    followers = make_followers(spec, output_lines, reader) if is_lead else []
    if is_lead and spec.values["launcher"]:
        emit_processes(spec)
    is_read = reader is not None  # else the program writes to the log itself, which costs nothing
    try:
        program = program_start.start_program(spec, environ, group, has_pipe=is_read)
    except NotStarted as error:
        print(error, flush=True)
        return error.exit_code

    def read() -> bool:
        for follower in followers:
            follower.read_new()
        return False

    program_follower = GroupFollower(program, max(1.0, child.get_grace_seconds() - MARGIN_SECONDS))
    forwarder = child.start_reader(forward_output, program.output, output_lines) if program.output else None
    try:
        program_follower.run(read)
    except BaseException:
        program.send(signal.SIGKILL)  # nobody follows it any more
        raise
    if forwarder:
        forwarder.join(LAST_OUTPUT_SECONDS)
        if program.output and not forwarder.is_alive():
            program.output.close()
    code = program_follower.exit_code
    own_code = program.exit_code or 0  # after a stop it says whether the program saved its work
    problems = [problem for follower in followers for problem in follower.finish(own_code, program_follower.is_stopped)]
    for problem in problems:
        print(f"error: {problem}", flush=True)
    if code == 0 and problems:
        return 1
    return 128 - code if code < 0 else code


def main() -> int:
    """Run the program that the environment describes; return its exit code."""
    return run_program(program_spec.read_spec(os.environ[program_spec.SPEC_VARIABLE]))


def provide_folder(folder: Path, code: str) -> None:
    """Create the folder with a copy of `code`, empty without; one of an earlier attempt stays. Raise OSError."""
    if folder.is_dir():
        return
    with make_atomically(folder) as scratch:
        if not code:
            scratch.mkdir()
            return
        shutil.copytree(code, scratch, symlinks=True)
        for parent, _, files in os.walk(scratch):
            os.chmod(parent, os.stat(parent).st_mode | 0o700)
            for path in (os.path.join(parent, name) for name in files):
                if not os.path.islink(path):
                    os.chmod(path, os.stat(path).st_mode | (0o700 if _is_script(path) else 0o600))


def _is_script(path: str) -> bool:
    """Return whether a file names its interpreter: not every platform brings it as a program that can be started."""
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


if __name__ == "__main__":
    sys.exit(main())
