"""Rules for a resolved job that workloads around LeRobot share, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_choosing
from robotrain.messages import Messages
from robotrain.redaction import redact

from robotrain_workloads.lerobot import backbones, episode_numbers, parameters, remote_code
from robotrain_workloads.lerobot.trained_model import choose_model

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

POLICY_FLAGS = {
    "huggingface": "--policy-repo-id",
    "local_path": "--policy-path",
    "blob_url": "--policy-url",
    "registered_model": "--policy-model",
    "model_asset": "--policy-model",
    "mlflow_run": "--policy-model",
    "datastore_path": "--policy-url",
}
"""Flags of the role `policy`, by kind."""
BACKBONE_FLAGS = {
    "huggingface": "--backbone-repo-id",
    "local_path": "--backbone-path",
    "blob_url": "--backbone-url",
}
"""Flags of the role `backbone`, by kind."""
TRUST_REASON = (
    "Code of a repository runs with the rights of the job: read it, and name the commit that you have read. The Hub"
    " lists commits at https://huggingface.co/{}/commits/main."
)
START_ROLES = ("policy", "init_policy", "resume")


def check_system(job: "Job") -> Iterator[Problem]:
    """Reject a device of macOS."""
    if job["device"] == "mps":
        yield make_problem(
            "device-cannot",
            Suggestion("--device auto"),
            given="mps",
            title="--device mps is for macOS, and jobs run on Linux",
        )


def check_device(job: "Job") -> Iterator[Problem]:
    """Reject what no machine can run, and warn of GPUs that a job on the CPU would not use."""
    if job["device"] == "mps":
        yield from check_system(job)
        return
    for title, remedy in parameters.find_device_problems(dict(job.parameters)):
        yield make_problem("device-cannot", Suggestion(remedy), given=str(job["device"]), title=title)
    if job["device"] == "cpu" and job.training_gpus > 1:
        yield make_problem("option-without-effect.gpus", given=str(job.training_gpus))


def check_excluded_episodes(job: "Job") -> Iterator[Problem]:
    """Require numbers of episodes; whether the datasets have them is compared with their descriptions."""
    excluded, flag = job[episode_numbers.EXCLUDED], episode_numbers.EXCLUDE_FLAG
    try:
        episode_numbers.parse_ranges(excluded or episode_numbers.EXAMPLE)
    except ValueError as error:
        way = Suggestion(f"{flag} NUMBERS", f"such as {episode_numbers.EXAMPLE}")
        reason = str(error)
        yield make_problem(
            "value-invalid.episodes", way, given=redact(excluded), why=f"{reason[0].upper()}{reason[1:]}."
        )


def check_single_start(job: "Job") -> Iterator[Problem]:
    """Require at most one start."""
    starts = [source for source in job.sources if source.role in START_ROLES]
    if len(starts) > 1:
        flags = {"init_policy": "--init-from-policy-model", "resume": "--resume-from"}
        yield make_problem(
            "sources-conflict.starts",
            suggest_choosing(
                *(
                    f"{flags.get(start.role) or POLICY_FLAGS.get(start.kind, '--policy-…')} {redact(start.uri)}"
                    for start in starts
                )
            ),
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in starts),
            count=len(starts),
        )


def check_backbones(job: "Job") -> Iterator[Problem]:
    """Require that each backbone stands for a repository, and each repository for one backbone."""
    if not any(source.role == "backbone" for source in job.sources):
        return
    sources = [source for source in backbones.list_backbones(job.sources) if not source.implied]
    repository_names = [backbones.get_repository_name(source) for source in sources]
    for source, name in zip(sources, repository_names, strict=True):
        flag = BACKBONE_FLAGS.get(source.kind, "--backbone-…")
        if not backbones.REPOSITORY.fullmatch(name):
            yield make_problem("backbone-unnamed", where=flag, given=source.uri, uri=redact(source.uri))
    files = [source for source in filter(backbones.is_weights, job.sources) if source.kind == backbones.FOLDER_KIND]
    groups = {"camera-weights": files}
    for source, name in zip(sources, repository_names, strict=True):
        groups.setdefault(name, []).append(source)
    for name, group in groups.items():
        flags = [f"{BACKBONE_FLAGS.get(source.kind, '--backbone-…')} {redact(source.uri)}" for source in group]
        if len(group) > 1:
            yield make_problem(
                "sources-conflict.camera-weights" if group is files else "sources-conflict.backbones",
                suggest_choosing(*flags) if len({*flags}) > 1 else Suggestion(flags[0], "once"),
                given=", ".join(redact(source.uri) for source in group),
                count=len(group),
                name=redact(name),
            )


def check_remote_code(job: "Job") -> Iterator[Problem]:
    """Require trust for Python code of the Hub, as far as no file of a policy decides which runs."""
    job_parameters = dict(job.parameters)
    facts = choose_model(job_parameters, {}).facts
    if facts.refused or (job_parameters["trust_remote_code"] is None and not facts.repositories):
        return

    trust_text = redact(str(job["trust_remote_code"] or ""))
    try:
        trusted = remote_code.parse_trusted(job["trust_remote_code"])
    except ValueError as error:
        yield make_problem(
            "value-invalid",
            where=remote_code.TRUST_FLAG,
            given=trust_text,
            error=redact(str(error)),
            form=remote_code.TRUST_FORM,
        )
        return
    if any(source.role in START_ROLES for source in job.sources):
        return
    type_name = choose_model(job_parameters, {}).kind
    needed_repositories = backbones.list_needed(job_parameters, job.trainer_args, None)
    brought_sources = backbones.list_backbones(job.sources)
    findings = remote_code.find_trust_problems(
        type_name, needed_repositories, trusted, brought_sources, are_pinned=False
    )
    for finding in findings:
        flag, _, trusted_code = finding.suggestions[0].text.partition(" ")
        yield make_problem(
            "remote-code-not-trusted",
            *finding.suggestions,
            where=remote_code.TRUST_FLAG if trust_text else "",
            given=trust_text,
            title=finding.title,
            why=TRUST_REASON.format(trusted_code.partition("@")[0]) if flag == remote_code.TRUST_FLAG else "",
        )


def check_steps_left(job: "Job") -> Iterator[Problem]:
    """Require steps after the checkpoint, before a machine is used."""
    steps = int(str(job["training_steps"]))
    for source in job.sources:
        if source.role == "resume" and (done_steps := _parse_checkpoint_step(source.uri, steps)) >= steps:
            yield make_problem(
                "nothing-left-to-train", given=str(steps), done=done_steps, steps=steps, uri=redact(source.uri)
            )


def _parse_checkpoint_step(uri: str, steps: int) -> int:
    """Return the step in the name of a checkpoint; 0 when the number may mean something else, such as a day."""
    match = re.search(r"(/checkpoints)?/([0-9]{6,7})$", uri)
    if match is None:
        return 0
    return int(match[2]) if match[1] or match[2].startswith("0") or int(match[2]) == steps else 0
