"""Plant the mistakes of planted_failures.txt, apply the first suggestion of each, and see what becomes of the line."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain.cli.suggestion_trials import read_line_options
from robotrain.errors import Problem, format_problem, select_errors
from robotrain.line_edits import LineOptions, edit_line, find_placeholders
from typer.testing import CliRunner

TABLE = Path(__file__).with_suffix(".txt")
EXAMPLES = Path(__file__).parents[2] / "examples"
ARROW = "=>"
ADDITIONS = ("+", "++")
SAME_JOB = (
    *("policy_type", "reward_model", "mixed_precision", "lerobot_version", "task", "backend", "checkpoint_mode"),
    *("training_steps", "max_iterations", "batch_size", "accumulate", "num_gpus", "num_envs", "learning_rate"),
    *("lr_warmup_steps", "val_split", "seed", "env", "eval_episodes", "replay_episodes"),
)
"""The parameters that make a job the job that it is: what it trains, in which precision, and how much. With another
value of one of them it is another job, as it is with another workload, platform, source or option of the trainer.
"""


@dataclass(frozen=True)
class Failure:
    """A line that works, and one with a mistake."""

    base: str
    mistake: str
    meant: str
    """The line that works."""
    line: str
    """The line with the mistake."""
    variables: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    """The file in which it is planted, if it is in none of the words."""
    change: tuple[str, str] = ("", "")
    """What is replaced in the file, and what stands there then; a line that is added begins with `+`."""

    def __str__(self) -> str:
        return f"{self.base[:60]}…  {self.mistake}"


def read_failures(table: Path = TABLE) -> Iterator[Failure]:
    """Yield the failures of the table."""
    base = ""
    for row in table.read_text().splitlines():
        if not row.strip() or row.startswith("#"):
            continue
        if row.startswith(" "):
            yield plant_mistake(base, row.strip())
        else:
            base = row.strip()


def plant_mistake(base: str, mistake: str) -> Failure:
    """Return a failure; raise ValueError if the line has not what is to be replaced."""
    before, arrow, after = (part.strip() for part in f"{mistake} ".partition(f" {ARROW} "))
    kind, _, words = before.partition(" ")
    if kind == "env":
        name, _, value = words.partition("=")
        return Failure(base, mistake, base, base, {name: value})
    if kind.endswith(":"):
        return Failure(base, mistake, base, base, file=kind.removesuffix(":"), change=(words, after))
    if kind in ADDITIONS:
        addition = after if after.split()[:1] and after.split()[0] in ADDITIONS else f"{kind} {after}"
        if arrow:
            return Failure(base, mistake, add_words(base, before), add_words(base, addition))
        return Failure(base, mistake, base, add_words(base, before))
    if before not in base:
        raise ValueError(f"{before!r} is not in {base!r}")
    return Failure(base, mistake, base, base.replace(before, after, 1))


def add_words(line: str, addition: str) -> str:
    """Return a line with words more: before `--` or after it."""
    head, dashes, tail = line.partition(" -- ")
    kind, _, words = addition.partition(" ")
    if kind == "+":
        return f"{head} {words}{dashes}{tail}"
    return f"{line} {words}" if dashes else f"{line} -- {words}"


@dataclass
class Answer:
    """What a line led to."""

    exit_code: int
    problems: list[Problem]
    """Its errors."""
    jobs: list[Mapping[str, Any]]
    """Of each job that it prepared, what may not become something else."""
    said: str


@dataclass
class Verdict:
    """What became of a failure."""

    failure: Failure
    kind: str
    """`works`, `still wrong`, `another job`, `unnamed` (neither complete nor with a placeholder), `incomplete`,
    `no suggestion`, or `no failure`.
    """
    first: Problem | None = None
    detail: str = ""

    @property
    def is_complete(self) -> bool:
        return self.kind in ("works", "still wrong", "another job")

    def __str__(self) -> str:
        way = self.first.suggestions[0].text if self.first and self.first.suggestions else ""
        title = f"{self.first.code}: {self.first.title}" if self.first else ""
        rows = (f"{self.kind}: {self.failure}", title, f"use {way}" if way else "", self.detail)
        return "\n    ".join(filter(None, rows))


class World:
    """A folder with files and runs; runs lines in this process and keeps what they report."""

    def __init__(self, monkeypatch: Any) -> None:
        from robotrain.cli import errors_and_interrupts, job_command
        from robotrain.submission import prepare

        self.problems: list[Problem] = []
        self.jobs: list[Mapping[str, Any]] = []
        self.command: Any = None
        """The job command that ran last, with the options of its choice."""
        self.monkeypatch = monkeypatch
        self.meant: dict[str, Answer] = {}
        prepare_job, build_for = prepare.prepare_job, job_command.JobCommand.build_for

        def keep_job(*args: Any, **kwargs: Any) -> Any:
            prepared = prepare_job(*args, **kwargs)
            self.jobs.append(describe_job(prepared))
            return prepared

        def keep_command(command: Any, choice: Any, parent: Any) -> Any:
            self.command = build_for(command, choice, parent)
            return self.command

        def keep_problems(problems: Any, as_json: bool) -> None:
            self.problems += problems

        monkeypatch.setattr(prepare, "prepare_job", keep_job)
        monkeypatch.setattr(job_command.JobCommand, "build_for", keep_command)
        monkeypatch.setattr(errors_and_interrupts, "_report_problems", keep_problems)

    def run(self, words: list[str], variables: Mapping[str, str] | None = None) -> Answer:
        """Run a line."""
        from robotrain.cli.app import app

        self.problems, self.jobs, self.command = [], [], None
        with self.monkeypatch.context() as patch:
            for name, value in (variables or {}).items():
                patch.setenv(name, value)
            result = CliRunner().invoke(app, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, select_errors(self.problems), self.jobs, result.stderr)

    def run_meant(self, line: str) -> Answer:
        """Run a line that works, once."""
        if line not in self.meant:
            self.meant[line] = self.run(shlex.split(line))
        answer = self.meant[line]
        assert answer.exit_code == 0, (
            f"{line} does not work: {[format_problem(problem) for problem in answer.problems]}"
        )
        return answer

    def judge(self, failure: Failure) -> Verdict:
        """Run a failure, and what its first suggestion makes of it."""
        meant = self.run_meant(failure.meant)
        if not failure.file:
            return self._judge(failure, meant)
        path = Path(failure.file)
        before, (old, new) = path.read_text() if path.exists() else "", failure.change
        changed = f"{before}{old[1:].strip()}\n" if old.startswith("+ ") else before.replace(old, new, 1)
        assert changed != before, failure
        path.write_text(changed.replace("\\n", "\n"))
        try:
            return self._judge(failure, meant)
        finally:
            path.write_text(before)

    def try_ways(self, failure: Failure) -> Iterator[tuple[bool, str]]:
        """Yield whether each complete suggestion removes its problem and brings no other one, and which it is."""
        words = shlex.split(failure.line)
        wrong = self.run(words, failure.variables)
        options, before = (
            self._read_options(words),
            Counter((problem.message, problem.where) for problem in wrong.problems),
        )
        for problem in wrong.problems:
            for way in problem.suggestions:
                if (corrected := edit_line(words, problem, way, options)) is not None:
                    problems = self.run(corrected, failure.variables).problems
                    after = Counter((problem.message, problem.where) for problem in problems)
                    new = after - before
                    is_gone = after[problem.message, problem.where] < before[problem.message, problem.where]
                    yield is_gone and not new, f"{failure}\n    {problem.title}: {way.text}: {[*new]}"

    def _read_options(self, words: list[str]) -> LineOptions:
        command = find_command(self.command, words)
        return read_line_options(command) if command else LineOptions()

    def _judge(self, failure: Failure, meant: Answer) -> Verdict:
        words = shlex.split(failure.line)
        wrong = self.run(words, failure.variables)
        if not wrong.problems:
            return Verdict(failure, "no failure", detail=f"exit code {wrong.exit_code}: {wrong.said[:300]}")
        first = wrong.problems[0]
        if not first.suggestions:
            return Verdict(failure, "no suggestion", first)
        corrected = edit_line(words, first, first.suggestions[0], self._read_options(words))
        if corrected is None:
            is_named = failure.file or find_placeholders(first.suggestions[0].text, words)
            return Verdict(failure, "incomplete" if is_named else "unnamed", first)
        after = self.run(corrected, failure.variables)
        if after.problems:
            return Verdict(failure, "still wrong", first, f"{shlex.join(corrected)}\n    {after.problems[0]}")
        if changed := find_changes(meant.jobs, after.jobs, first):
            return Verdict(failure, "another job", first, f"{shlex.join(corrected)}\n    {changed}")
        return Verdict(failure, "works", first)


def describe_job(prepared: Any) -> Mapping[str, Any]:
    """Return what makes a job the job that it is."""
    job, values = prepared.job, dict(prepared.job.parameters)
    options = [argument.partition("=") for argument in job.trainer_args]
    return {
        "workload": job.workload,
        "platform": prepared.platform.name,
        "sources": sorted((source.role, source.uri) for source in job.sources),
        **{name: values[name] for name in SAME_JOB if name in values},
        **{name: value for name, _, value in options},
    }


def find_changes(meant: list[Mapping[str, Any]], jobs: list[Mapping[str, Any]], problem: Problem) -> str:
    """Return what is different in the jobs, except options of the trainer that the problem itself is about.

    A line that lost its platform cannot tell it: the one that is offered works on each machine.
    """
    if len(meant) != len(jobs):
        return f"{len(jobs)} jobs in place of {len(meant)}"
    about = f"{problem.title} {problem.given} {problem.where} {problem.why}"
    return "; ".join(
        f"{name}: {old.get(name)} -> {new.get(name)}"
        for old, new in zip(meant, jobs, strict=True)
        for name in {**old, **new}
        if old.get(name) != new.get(name)
        and not (name.startswith("--") and name.rpartition(".")[2] in about)
        and not (name == "platform" and problem.message == "platform-missing")
    )


def find_command(command: Any, words: list[str]) -> Any:
    """Return the command of a line.

    :param command: the job command that it ran; None for one that takes no job.
    """
    from robotrain.cli.command_factory import load_command
    from robotrain.command_table import ALIASES, COMMANDS

    word = ALIASES.get(words[0], words[0])
    if command is None and word in COMMANDS:
        command = load_command(word)
        command = getattr(command, "commands", {}).get(words[1] if words[1:] else "", command)
    return command


FILES = {
    "job.yaml": """
workload: lerobot-train
sources:
  dataset:
    - local_path: data
parameters:
  training_steps: 5
trainer_args:
  - --policy.chunk_size=50
  - --policy.n_action_steps=25
""",
    "eval.yaml": """
workload: lerobot-eval
sources:
  dataset:
    - local_path: data
parameters:
  env: pusht
  eval_episodes: 2
""",
    "pipeline.yaml": """
name: both
steps:
  train:
    job: job.yaml
  evaluate:
    job: eval.yaml
    parameters:
      seed: 7
    sources:
      policy:
        - from: train
""",
}
FEATURES = {"observation.state": ("STATE", 2), "observation.environment_state": ("ENV", 16), "action": ("ACTION", 2)}


def write_files(folder: Path) -> None:
    """Write what the lines of the table are about: data, jobs, and a policy that fits the data."""
    (folder / "data").symlink_to(EXAMPLES / "pusht-mini/dataset")
    (folder / "bags").symlink_to(EXAMPLES / "pusht-bags/bags")
    for name, text in FILES.items():
        (folder / name).write_text(text.lstrip())
    policy = folder / "policy"
    policy.mkdir()
    features = {name: {"type": kind, "shape": [size]} for name, (kind, size) in FEATURES.items()}
    outputs = {"action": features.pop("action")}
    config = {"type": "act", "chunk_size": 100, "n_action_steps": 100}
    (policy / "config.json").write_text(json.dumps({**config, "input_features": features, "output_features": outputs}))
    (policy / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    for name in ("preprocessor", "postprocessor"):
        (policy / f"policy_{name}.json").write_text('{"steps": []}')


def submit_runs(robotrain: Callable[..., Any], engine: Path) -> None:
    """Submit the runs that the lines of the table are about: `going` runs, `pick` and `kept` have ended."""
    line = ("submit", "--new", "--no-pin", "lerobot-train", "--platform", "fake", "--dataset-path", "data")
    ended = {"state": "succeeded", "checkpoints": [50, 100]}
    (engine / "others.json").write_text(json.dumps(ended))
    for name, state in (("pick", ended), ("going", {"state": "running"}), ("kept", ended)):
        answer = robotrain(*line, "--training-steps", "100", "--name", name)
        assert answer.exit_code == 0, answer.stderr
        (engine / f"{answer.stdout.strip()}.json").write_text(json.dumps(state))
