"""A rollout of a policy in Isaac Lab's play script: options, the command, and what it reports until it ends."""

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.process.stop import ChildGroup

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac import checkpoint_file
from robotrain_workloads.isaac.installation import IsaacLab
from robotrain_workloads.isaac.played_checkpoint import PlayedCheckpoint
from robotrain_workloads.isaac.process_group import REPORT_FILE, SCRATCH_FOLDER, start_script
from robotrain_workloads.supervision.json_lines import ReportReader
from robotrain_workloads.supervision.process_group import GroupFollower

PROGRAM = Path(__file__).parent / "image" / "rollout.py"
Report = dict[str, Any]


def make_parser(program: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all programs have which play a policy."""
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    add = parser.add_argument
    add("--work", type=Path, required=True, help="the run's own folder")
    add("--results", type=Path, required=True)
    add("--cache", type=Path, required=True)
    add("--checkpoint", type=Path, required=True, help="where the checkpoint is")
    add("--source", required=True, help="the name that the user gave")
    add("--job-name", required=True)
    add("--task", default="")
    add("--backend", default="", help="the library that is expected")
    add("--num-envs", type=int, required=True)
    add("--seed", type=int, required=True)
    add("--video-length", type=int, default=0, help="steps of a video; 0 for none")
    add("--headless", action="store_true")
    add("--isaaclab-path")
    add("--isaac-version")
    return parser


def parse_options(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options before `--`, and those after it, which the user gave, as `options`."""
    separator = list(arguments).index("--")
    options = parser.parse_args(arguments[:separator])
    options.options = list(arguments[separator + 1 :])
    return options


def play(
    own: argparse.Namespace,
    lab: IsaacLab,
    checkpoint: PlayedCheckpoint,
    task: str,
    program_options: Sequence[str],
    handle: Callable[[Report], None],
    *,
    num_envs: int,
    video_length: int,
) -> Path:
    """Play a policy in the script, and pass each report to `handle`. Raise SystemExit with a sentence.

    The script gets a copy of the checkpoint, in the folder that is returned: it writes beside it.

    :param own: the options of `make_parser`.
    :param program_options: those of the program that wraps the script.
    """
    work: Path = own.work
    report, folder = work / REPORT_FILE, work / SCRATCH_FOLDER / "policy"
    report.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    copy = folder / "checkpoints" / checkpoint.file.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(checkpoint.file, copy)
    statistics = checkpoint_file.get_statistics_name(checkpoint.file)
    if statistics and checkpoint.file.with_name(statistics).is_file():
        shutil.copyfile(checkpoint.file.with_name(statistics), copy.with_name(statistics))
    command = [
        *(*lab.python, str(PROGRAM), f"--report={report}", *program_options),
        *((f"--params={checkpoint.params}",) if checkpoint.params else ()),
        *("--", *lab.make_script_words("play", checkpoint.backend)),
        *list_play_options(task, checkpoint.facts.agent, num_envs, own.seed, own.options),
        *(f"--checkpoint={copy}", *lab.make_machine_arguments(checkpoint.backend, own.options, own.headless)),
        *(("--video", f"--video_length={video_length}") if video_length else ()),
        *own.options,
    ]
    follow_rollout(start_script(command, folder.parent), report, handle)
    return folder


def list_play_options(task: str, agent: str, num_envs: int, seed: int, options: Sequence[str]) -> list[str]:
    """Return the options of the play script that follow from a job, beside the user's `options`."""
    is_agent_told = any(option.partition("=")[0] in ("--agent", "--algorithm") for option in options)
    agent_options = [f"--agent={agent}"] if agent and not is_agent_told else []
    return ["--task", task, *agent_options, "--num_envs", str(num_envs), "--seed", str(seed)]


def follow_rollout(child_group: ChildGroup, report: Path, handle: Callable[[Report], None]) -> None:
    """Follow the script to its end, and pass each report to `handle`. Raise SystemExit with a sentence."""
    follower, reader, last_report = GroupFollower(child_group), ReportReader(report), Report()

    def read_reports() -> bool:
        for report_line in reader.read_new():
            if report_line["event"] in ("finished", "failed"):
                last_report.update(report_line)
            else:
                handle(report_line)
        return bool(last_report)

    follower.run(read_reports)
    if follower.is_stopped:
        raise SystemExit(follower.exit_code)
    if last_report.get("event") != "finished":
        raise WorkFailed(explain_failure(last_report, follower.exit_code))


def explain_failure(report: Report, exit_code: int) -> str:
    """Return why a rollout has failed: by its last report, or by the exit code if there is none."""
    kind = str(report.get("kind", ""))
    message = str(report.get("why", ""))
    if not kind:
        return f"Isaac Lab's script ended with exit code {exit_code}, before the policy was played: see its log above"
    if kind == "ValueError" and message:
        return message
    return f"{message} ({kind})" if message else kind
