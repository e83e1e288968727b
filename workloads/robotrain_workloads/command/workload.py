"""The workload `command`: its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from robotrain.model.preview import WorkPreview
from robotrain.model.workload import FoundInput, JobTemplate, ProgramLocker, ProgramNeeds, Role, UserCommand, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads.command.parameters import (
    CommandParameters,
    continue_command,
    format_value,
    list_own,
)
from robotrain_workloads.isaac import profile as isaac_profile

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import code_rules
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.command import checkpoint_rules, parameter_rules, program_rules, rules

    yield from rules.check_command(job)
    yield from rules.check_placeholders(job)
    yield from parameter_rules.check_unused(job)
    yield from rules.check_nodes(job)
    program_problems = list(rules.check_program_file(job))
    yield from program_problems
    yield from program_rules.check_syntax(job)
    yield from checkpoint_rules.check_checkpoints(job)
    yield from checkpoint_rules.check_resume(job)
    yield from rules.check_results(job)
    yield from program_rules.check_environment(job)
    yield from program_rules.check_imports(job)
    yield from program_rules.check_runner(job)
    yield from parameter_rules.check_environ(job)
    if not any(problem.severity == "error" for problem in program_problems):  # looking into all files takes its time
        yield from code_rules.check_code(job, check_content=partial(rules.check_ignored_arguments, job))
    yield from rules.check_metrics(job)
    yield from rules.check_outputs(job)
    yield from shared_rules.check_publish_url(job)


def load_locker() -> ProgramLocker:
    """Import what locks the packages of the user's program."""
    from robotrain_workloads.package_lock import program_locker

    return program_locker


def find_inputs(folder: Path) -> Iterator[FoundInput]:
    """Yield the folder itself as the code, if it has a program, with the command of the one that it is about."""
    from robotrain_workloads.command import script_facts

    if script := script_facts.find_script(folder):
        arguments, needs = script_facts.find_needs(folder, script)
        parameters = {name: value for name, (value, _) in needs.items()}
        yield FoundInput("code", "local_path", ".", f"has {script}", parameters, ("python", script, *arguments))
    elif programs := sorted(path.name for path in folder.glob("*.py")):
        yield FoundInput("code", "local_path", ".", f"has {programs[0]}")


def find_needs(folder: Path, path: str, words: Sequence[str], set_values: Mapping[str, str]) -> ProgramNeeds:
    """Return what a program of a folder says that its job needs."""
    from robotrain_workloads.command import script_facts

    return ProgramNeeds(*script_facts.find_needs(folder, path, words, set_values))


def list_words(job: "Job") -> Sequence[str]:
    """Return the words of the command as the run starts it, with the values that are known here."""
    from robotrain_workloads.command import placeholders

    values = dict(job.parameters)
    is_continued = any(source.role == "resume" for source in job.sources)
    words = continue_command(job.trainer_args, values) if is_continued else job.trainer_args
    own_values = {name: format_value(values[name]) for name in list_own(values)}
    return words if values["shell"] else [placeholders.fill_known(word, own_values) for word in words]


RECIPES = ("gr00t-n1.5", "gr00t-n1.7", "openpi-pi0.5", "robomimic-bc")
START, VALIDATION = r"(?i)(?:.*[/_. ])?", r"(?:val|valid|validation|eval|test)"


def _make_usual(
    name: str,
    kind: Literal["loss", "curve", "validation"],
    label: str,
    better_direction: Literal["lower", "higher"],
    brief_label: str,
) -> Metric:
    return Metric(name=name, pattern=True, kind=kind, label=label, brief=brief_label, better=better_direction)


TRAINING_LOSS = r"(?i)(?:(?:train|training|epoch)[/_. ])*(?:total[/_. ])?loss(?:[/_. ](?:train|training|total))?"
REWARD = rf"{START}(?:ep_rew_mean|(?:mean_|episode_|episodic_|total_)*(?:reward|return)(?:_mean)?)"
OTHER_LOSS = rf"(?i)(?!(?:.*[/_. ])?{VALIDATION}(?:[/_. ]|$))(?:.*[/_. ])?loss(?:[/_. ].*)?"
ACCURACY = rf"{START}(?:accuracy|acc|success|success_rate)"
VALIDATION_LOSS = rf"(?i)(?:.*[/_. ])?{VALIDATION}[/_. ](?:.*[/_. ])?loss|loss[/_. ]{VALIDATION}"
USUAL_METRICS = (
    _make_usual(TRAINING_LOSS, "loss", "loss", "lower", "loss"),
    _make_usual(REWARD, "curve", "reward", "higher", "reward"),
    _make_usual(OTHER_LOSS, "loss", "loss", "lower", "loss"),
    _make_usual(ACCURACY, "curve", "accuracy", "higher", "accuracy"),
    _make_usual(VALIDATION_LOSS, "validation", "validation loss", "lower", "val"),
)
"""What programs usually call the metrics that show their progress, the first one that a run has."""


COMMAND = Workload(
    name="command",
    summary="run a training program of your own",
    example_lines=(
        "train.py --platform PLATFORM -- --lr 1e-4",
        "command --code ./project --platform PLATFORM -- python -m project.train --lr 1e-4",
    ),
    parameters=CommandParameters,
    roles={
        "dataset": Role(many=True, typical=True),
        "policy": Role(takes="checkpoints"),
        "resume": Role(),
        "code": Role(is_program=True),
    },
    container_plugin="robotrain_workloads.command.container",
    targets=("publish_url",),
    program="your program",
    profile=WorkloadProfile(
        resources=Resources(),
        container=Container(interpreters=isaac_profile.LAB_2_3.interpreters),
        outputs=OutputProfile(noun="training"),
        metrics=(
            *USUAL_METRICS,
            Metric(
                name="success_rate",
                kind="score",
                label="success",
                brief="success",
                better="higher",
                headline=True,
                share=True,
                low="success_rate_low",
                high="success_rate_high",
                count="episodes",
            ),
            Metric(name="return", kind="score", label="return", brief="return", better="higher", headline=True),
            Metric(name="score", kind="score", label="score", brief="score", better="higher", headline=True),
        ),
        experiment="command",
    ),
    template=JobTemplate(
        parameters=dict.fromkeys(("requirements", "checkpoints", "resume_args", "results")),
        examples={name: Path(__file__).parents[1] / "examples" / name for name in RECIPES},
        find_inputs=find_inputs,
    ),
    load_locker=load_locker,
    preview=WorkPreview({"output folder": "output_folder"}),
    own_command=UserCommand(
        ("datasets", "outputs", "run", "node_rank", "master_addr", "master_port"),
        starters={".py": ("python",), ".sh": ("bash",)},
        find_needs=find_needs,
        list_words=list_words,
    ),
    get_option_name=lambda argument: "",
    check=check_job,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (COMMAND,)
