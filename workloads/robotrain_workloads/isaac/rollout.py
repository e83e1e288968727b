"""A rollout of a policy in Isaac Lab's play script: its command, and what it reports until it ends."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.process.stop import ChildGroup

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac.installation import IsaacLab
from robotrain_workloads.supervision.json_lines import ReportReader
from robotrain_workloads.supervision.process_group import GroupFollower

PROGRAM = Path(__file__).parent / "image" / "rollout.py"
Report = dict[str, Any]
STATE_MISMATCH = re.compile(r"Error\(s\) in loading state_dict for \w+: *")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A policy that is played."""

    lab: IsaacLab
    backend: str
    task: str
    agent: str
    """The entry point of the agent's configuration; empty for the task's usual one."""
    checkpoint: Path
    """A copy that is the run's own: the script writes beside it."""
    params: Path | None
    """The checkpoint's params/agent.yaml."""
    num_envs: int
    seed: int
    headless: bool
    video_length: int = 0
    options: Sequence[str] = ()
    """The user's options of the script."""

    def make_command(self, report: Path, *program_options: str) -> list[str]:
        """Return the words that start the script, wrapped by the program, whose options are `program_options`."""
        play_options = list_play_options(self.task, self.agent, self.num_envs, self.seed, self.options)
        return [
            *(*self.lab.python, str(PROGRAM), f"--report={report}", *program_options),
            *((f"--params={self.params}",) if self.params else ()),
            "--",
            *(*self.lab.make_script_words("play", self.backend), *play_options, f"--checkpoint={self.checkpoint}"),
            *self.lab.make_machine_arguments(self.backend, self.options, self.headless),
            *(("--video", f"--video_length={self.video_length}") if self.video_length else ()),
            *self.options,
        ]


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
    if kind == "NameNotFound":
        return f"Isaac Lab does not know the task: {message}"
    if kind in ("KeyError", "RuntimeError") and "state_dict" in message:
        return f"the checkpoint does not fit the policy of the task: {STATE_MISMATCH.sub('', message)}"
    if kind == "ValueError" and message:
        return message
    return f"{message} ({kind})" if message else kind
