"""Parameters of `command`. A job may have more, of its user's own (`Workload.own_command`)."""

from __future__ import annotations  # evaluated for the jobs of this workload alone

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param, get_parameters

from robotrain_workloads.parameters import (
    NAME_HELP,
    NAME_PATTERN,
    AllowSecretFile,
    CheckpointsUrl,
    NumNodes,
    SystemMetrics,
    make_model_param,
)

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import Scalar

RESUME_LINE = """--resume-args '["--resume", "{resume}"]'"""
"""What most programs continue with, for messages."""
LAUNCHERS = ("torchrun", "accelerate", "deepspeed", "uv")
"""Programs that start a Python script, which stands among their words."""
QUIET = "quiet:30"
RESUME_VARIABLE = "ROBOTRAIN_RESUME"
"""The environment variable of the checkpoint to continue from."""
COMPLETE_PATTERN = r"^(rename|quiet:[0-9]{1,4}|marker:[A-Za-z0-9_+-][A-Za-z0-9._+/-]*)$"


@dataclass(frozen=True, kw_only=True)
class CommandParameters:
    """The parameters of `command`."""

    shell: Annotated[
        bool,
        Param(
            help="run the one argument after -- with `bash -c`; nothing is substituted, values are in $ROBOTRAIN_…",
        ),
    ] = False
    num_gpus: Annotated[
        int,
        Param(
            help="GPUs of each node for the program",
            common=True,
            aliases=("--gpus-per-node",),
            ge=0,
            requires="multi_gpu",
        ),
    ] = 1
    num_nodes: NumNodes = 1
    seed: Annotated[int | None, Param(help="what {seed} stands for", ge=0)] = None
    launcher: Annotated[
        Literal["torchrun"] | None,
        Param(help="start a `python` command once for each GPU, with torchrun (default: once; it sees all GPUs)"),
    ] = None
    requirements: Annotated[
        str | None,
        Param(
            help="the packages that the program needs (default: uv.lock, else pyproject.toml, of --code)",
            common=True,
            metavar="FILE",
            path=True,
        ),
    ] = None
    allow_secret_file: AllowSecretFile = None
    install: Annotated[bool, Param(help="install packages for the program (--no-install: the image has them)")] = True
    shipped_environment: Annotated[
        str | None,
        Param(
            help="run the program in the environment of this workload, such as lerobot-train",
            common=True,
            metavar="WORKLOAD",
        ),
    ] = None
    python_version: Annotated[
        str | None,
        Param(
            help="the Python that its packages are installed for (default: .python-version of --code, else one that"
            " requires-python allows, else 3.12)",
            metavar="VERSION",
        ),
    ] = None
    allow_builds: Annotated[
        bool, Param(help="the job may build packages of uv.lock that have no wheel, which runs their code there")
    ] = False
    output_folder: Annotated[
        str | None,
        Param(
            help="the folder of its own that the program writes to, which then is {outputs}",
            common=True,
            metavar="FOLDER",
        ),
    ] = None
    checkpoints: Annotated[
        str | None,
        Param(
            help="where the program saves checkpoints below {outputs}: a path with {step}, which may have `*`",
            common=True,
            metavar="PATTERN",
        ),
    ] = None
    checkpoint_complete: Annotated[
        str,
        Param(
            help="when a checkpoint is complete: marker:FILE (that file is in it), quiet:SECONDS (nothing in it changed"
            " for so long), or rename (it appears under its name when it is)",
            pattern=COMPLETE_PATTERN,
            pattern_help="marker:FILE, quiet:SECONDS or rename",
            metavar="RULE",
        ),
    ] = QUIET
    resume_in_place: Annotated[
        bool,
        Param(help="after an interruption the last complete checkpoint is back in {outputs}, where the program looks"),
    ] = False
    environ: Annotated[
        str | None,
        Param(
            help="a variable of the program's environment",
            flag="--set-env",
            form="pairs",
            instead_of_secret="--secret NAME=REFERENCE",
        ),
    ] = None
    resume_args: Annotated[
        str | None,
        Param(
            help="a JSON list of arguments that the command gets after an interruption, with {resume} for the"
            """ checkpoint: '["--resume", "{resume}"]'""",
            common=True,
            form="json",
            metavar="JSON",
        ),
    ] = None
    results: Annotated[
        str | None,
        Param(help="a JSON file with scores that the program writes below {outputs}", metavar="FILE"),
    ] = None
    metrics: Annotated[
        str | None,
        Param(
            help="a metric that the program prints: its name, and a regular expression with a group around the number."
            " A group `(?P<step>…)` is its step",
            common=True,
            flag="--metric",
            form="pairs",
            metavar="NAME=REGEX",
        ),
    ] = None
    step_pattern: Annotated[
        str | None,
        Param(
            help="where the step stands in what the program prints: a regular expression with a group around it, and"
            " maybe one around the last step (default: the values of each --metric are counted)",
            flag="--step",
            metavar="REGEX",
        ),
    ] = None
    job_name: Annotated[str | None, Param(help="the name that tracking shows (default: the run's)", metavar="NAME")] = (
        None
    )
    experiment_name: Annotated[
        str | None,
        Param(
            help="the experiment in MLflow (default: command)",
            pattern=NAME_PATTERN,
            pattern_help=NAME_HELP,
            metavar="NAME",
            env=("EXPERIMENT_NAME",),
        ),
    ] = None
    register_checkpoint: Annotated[
        str | None, make_model_param("register the last checkpoint as this model", "REGISTER_CHECKPOINT")
    ] = None
    publish_url: CheckpointsUrl = None
    system_metrics: SystemMetrics = True


def list_own(names: Iterable[str]) -> list[str]:
    """Return those of the names of a job's parameters that are its user's own."""
    declared_names = {parameter.name for parameter in get_parameters(CommandParameters)}
    return [name for name in names if name not in declared_names]


def parse_resume_args(json_text: object) -> tuple[str, ...]:
    """Return the texts of `resume_args`; none if it is not given. Raise ValueError."""
    try:
        words = json.loads(str(json_text)) if json_text is not None else []
    except (RecursionError, json.JSONDecodeError):
        words = None
    if not isinstance(words, list):
        raise ValueError("it is no JSON list of texts")
    if other_words := [word for word in words if not isinstance(word, str)]:
        raise ValueError(f"{json.dumps(other_words[0])} is no text: write it in quotes")
    return tuple(words)


def continue_command(words: Sequence[str], parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of a command that continues from a checkpoint. Raise ValueError."""
    return (*words, *(() if parameters["shell"] else parse_resume_args(parameters["resume_args"])))


def is_continued(parameters: Mapping[str, Any], arguments: Sequence[str]) -> bool:
    """Return whether the program of a job continues from a checkpoint after an interruption."""
    if parameters["shell"] and any(RESUME_VARIABLE in argument for argument in arguments):
        return True
    return parameters["resume_args"] is not None or bool(parameters["resume_in_place"])


def format_value(value: Scalar) -> str:
    """Return a parameter's value as text: the very text that its user gave."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
