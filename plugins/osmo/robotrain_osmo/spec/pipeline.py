"""Render a pipeline to one workflow: a task for each step, which reads the outputs of the tasks that it needs.

All tasks carry the same files, which are written once, as an alias of YAML: OSMO keeps them once for each task.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robotrain.cluster import spec_patch
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model import plan
from robotrain.model.amounts import format_size
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload
from robotrain.model.reference import Reference
from robotrain_runtime.contract.document import DOCUMENT_FILE, format_document

from robotrain_osmo.spec import (
    environment,
    groups,
    node_names,
    render,
    resources,
    submission_spec,
    workflow,
)
from robotrain_osmo.spec import inputs as spec_inputs
from robotrain_osmo.spec.check_job import MAX_TASKS, get_longest_task_name
from robotrain_osmo.spec.render import TaskBuilder
from robotrain_osmo.spec.submission_spec import SUBMISSION_FILE, OsmoSubmissionSpec, get_step_path

make_problem = Messages(__file__)

STOP_SECONDS = 300
"""How long a step whose time is over may take to stop."""
WORKFLOW_SETTINGS = {
    "pool": "--pool",
    "priority": "--priority",
    "queue_timeout": "--queue-timeout",
    "labels": "--labels",
    "server": "--server",
    "osmo_cli": "--osmo-cli",
}
"""Settings that a workflow has once, with their options."""


def render_pipeline(steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]) -> plan.Plan:
    """Return the plan of a pipeline. Raise Rejected for what OSMO would refuse."""
    raise_if_any(list(_check_steps(steps)))
    builders = [_make_builder(step, run, {other_step.name for other_step in steps}, finished) for step in steps]
    seconds = [resources.parse_duration(_get_time_limit(builder)) for builder in builders]
    tasks = [
        _StepTask(step, builder, _build_document(step, builder), int(limit) if limit < max(seconds) else None)
        for step, builder, limit in zip(steps, builders, seconds, strict=True)
    ]
    documents = {_get_document_name(task.step): task.document for task in tasks}
    archive = render.pack_documents(Payload.merge(step.payload for step in steps), documents)
    files = _build_files(tasks, run, archive)
    return plan.Plan(
        platform="osmo",
        run=run,
        job=job,
        spec=submission_spec.WORKFLOW_FILE,
        files=files,
        shown=(submission_spec.WORKFLOW_FILE, *(get_step_path(step.name, DOCUMENT_FILE) for step in steps)),
    )


def _check_steps(steps: Sequence[PipelineStep]) -> Iterator[Problem]:
    yield from spec_patch.check_steps(steps)
    if (tasks := sum(step.job.training_nodes for step in steps)) > MAX_TASKS:
        yield make_problem("steps-over-limit", max_tasks=MAX_TASKS, tasks=tasks)
    kubernetes_names = {f"{step.name}-group".lower().replace("_", "-") for step in steps}
    kubernetes_names |= {
        node_names.make_node_name(step.name, rank).lower().replace("_", "-")
        for step in steps
        for rank in range(1, step.job.training_nodes)
    }
    for step in steps:
        kubernetes_name = step.name.lower().replace("_", "-")
        longest = get_longest_task_name(step.job.training_nodes)
        if not re.fullmatch(environment.NAME_PATTERN, step.name) or len(step.name) > longest:
            yield _make_name_problem(step, "A name is a letter followed by letters, digits, `-` and `_`.")
        elif kubernetes_name == "osmo-ctrl" or kubernetes_name in kubernetes_names:
            yield _make_name_problem(
                step, "OSMO or another step uses it: `TASK-group` is a task's group, `TASK-node-1` a node."
            )
    for name, flag in WORKFLOW_SETTINGS.items():
        steps_by_value = {getattr(step.settings, name): step.name for step in steps}
        if len(steps_by_value) > 1:
            (first_value, first_step), (other_value, other_step), *_ = steps_by_value.items()
            both_values = f"{first_value}, {other_value}"
            yield make_problem("steps-differ", where=flag, given=both_values, first=first_step, second=other_step)


def _make_name_problem(step: PipelineStep, reason: str) -> Problem:
    return make_problem("step-name-invalid", given=step.name, why=reason)


@dataclass(frozen=True)
class _StepTask:
    """A step with the parts of its task."""

    step: PipelineStep
    builder: TaskBuilder
    document: bytes
    stop_after: int | None
    """The seconds after which the runtime stops it; None if OSMO does."""

    def build(self, archive: str, more_inputs: Sequence[Mapping[str, Any]], files: Any, digest: str) -> dict[str, Any]:
        """Return the task. `archive`: the path of the archive. `more_inputs`: after its own."""
        builder, step = self.builder, self.step
        inputs = [*builder.inputs, *more_inputs]
        variables = environment.make_environment(builder.job, builder.settings, len(inputs), digest)
        variables[environment.SUBMISSION_VARIABLE] = builder.submission
        if step.hands_over:
            variables[environment.OUTPUT_VARIABLE] = "{{output}}"
        interpreters = builder.job.profile.container.interpreters
        command = render.make_task_command(archive, builder.work, _get_document_name(step), interpreters)
        if self.stop_after:
            command = ["timeout", "-k", str(STOP_SECONDS), str(self.stop_after), *command]
        return builder.build_task(step.name, command, variables, inputs, files, step.name)


def _make_builder(
    step: PipelineStep, run: str, step_names: set[str], finished_steps: Mapping[str, Reference]
) -> TaskBuilder:
    step_inputs = []
    for name, part in step.takes.items():
        task = f"{finished_steps[name]['workflow']}:{name}" if name in finished_steps else name
        step_inputs.append({"task": task, "regex": rf"^(step\.json|{part}/.*)$"})
    other_steps = [name for name in step.needs if name in step_names and name not in step.takes]
    step_inputs += ({"task": name, "regex": r"^step\.json$"} for name in other_steps)
    return TaskBuilder(
        job=step.job,
        settings=resources.fill_settings(step.job, step.settings),
        run=f"{run}-{step.name}",
        submission=f"{submission_spec.WORKFLOW_ID}-{step.name}",
        step_inputs=tuple(step_inputs),
    )


def _get_time_limit(builder: TaskBuilder) -> str:
    return builder.settings.exec_timeout or ""


def _build_document(step: PipelineStep, builder: TaskBuilder) -> bytes:
    first_index = len(builder.task_inputs)
    folders = {name: spec_inputs.make_input_reference(first_index + index) for index, name in enumerate(step.takes)}
    placement = builder.build_placement()
    placement = replace(
        placement,
        mounts=(*placement.mounts, *step.list_mounts(folders)),
        handover=environment.OUTPUT_REFERENCE if step.hands_over else placement.handover,
    )
    document = plan.make_job_document(
        builder.job,
        run=builder.run,
        platform="osmo",
        container_plugins=step.container_plugins,
        placement=placement,
        platform_managed=(PUBLISH_PARAMETER,) if builder.checkpoint_copy else (),
    )
    return format_document(document).encode()


def _get_document_name(step: PipelineStep) -> str:
    return f"job-{step.name}.json"


def _build_files(tasks: Sequence[_StepTask], run: str, archive: bytes) -> dict[str, bytes]:
    """Return the files of the plan: the archive is in the workflow, or uploaded if that would be too large.

    Raise Rejected if it cannot be uploaded.
    """
    settings = tasks[0].builder.settings
    submissions = [task.builder.build_submission_spec() for task in tasks]

    def build(make_task: Callable[[_StepTask], Mapping[str, Any]]) -> dict[str, Any]:
        limits = [_get_time_limit(task.builder) for task in tasks]
        resources_by_step = {task.step.name: workflow.build_resource(task.builder.settings) for task in tasks}
        workflow_settings = replace(settings, exec_timeout=max(limits, key=resources.parse_duration))
        nodes = [task.builder.job.training_nodes for task in tasks]
        return workflow.assemble_workflow(
            run, workflow_settings, resources_by_step, [make_task(task) for task in tasks], nodes
        )

    digest = render.compute_digest(archive, *map(submission_spec.SUBMISSION.dump, submissions))
    spec = build(lambda task: task.build(render.ARCHIVE_PATH, [], [render.ARCHIVE_FILE], digest))
    text = workflow.dump_with_shared_files(spec, archive)
    expanded = workflow.compute_expanded_size(len(text), archive, len(groups.list_tasks(spec)))
    is_accepted = workflow.is_accepted_size(len(text), expanded)
    uploaded: dict[str, bytes] = {}
    if settings.storage_account and not (is_accepted and len(text) <= workflow.LARGE_WORKFLOW_BYTES):
        upload = spec_inputs.make_archive_upload(archive, settings)
        submissions[0] = replace(submissions[0], uploads=(*submissions[0].uploads, upload))

        def refer(task: _StepTask) -> Mapping[str, Any]:
            path = f"{spec_inputs.make_input_reference(len(task.builder.inputs))}/{submission_spec.PAYLOAD_FILE}"
            return task.build(path, [{"url": upload.url}], [], digest)

        text = workflow.dump_workflow(build(refer))
        uploaded = {submission_spec.PAYLOAD_FILE: archive}
        is_accepted = len(text) <= workflow.MAX_WORKFLOW_BYTES
    if not is_accepted:
        raise Rejected([_make_too_large_problem(len(text), 0 if uploaded else expanded, len(tasks))])
    return {
        submission_spec.WORKFLOW_FILE: text.encode(),
        SUBMISSION_FILE: submission_spec.SUBMISSION.dump(_combine_submissions(submissions, run)),
        **uploaded,
        **{
            get_step_path(task.step.name, name): file_bytes
            for task, submission in zip(tasks, submissions, strict=True)
            for name, file_bytes in (
                (SUBMISSION_FILE, submission_spec.SUBMISSION.dump(replace(submission, task=task.step.name))),
                (DOCUMENT_FILE, task.document),
            )
        },
    }


def _combine_submissions(submissions: Sequence[OsmoSubmissionSpec], run: str) -> OsmoSubmissionSpec:
    """Return how the workflow is submitted; what each step needs is in the step's own."""
    first_submission = submissions[0]
    return OsmoSubmissionSpec(
        run=run,
        cli=first_submission.cli,
        pool=first_submission.pool,
        server=first_submission.server,
        task=",".join(submission.run.removeprefix(f"{run}-") for submission in submissions),
        gpu_platform=first_submission.gpu_platform,
        priority=first_submission.priority,
        credentials=tuple(
            dict.fromkeys(credential for submission in submissions for credential in submission.credentials)
        ),
    )


def _make_too_large_problem(sent_bytes: int, expanded_bytes: int, step_count: int) -> Problem:
    """Return the problem of a workflow that is too large.

    :param expanded_bytes: the size with the archive once for each task; 0 if it is uploaded.
    """
    if sent_bytes > workflow.MAX_WORKFLOW_BYTES:
        size = f"{format_size(sent_bytes)}, and OSMO has no time to read more than 1 MiB"
    else:
        size = f"{format_size(expanded_bytes)} in OSMO, which stores the code once for each task"
    ways = (Suggestion("--storage-account NAME", "uploads the code once instead"),) if expanded_bytes else ()
    return make_problem("spec-over-limit.pipeline", *ways, count=step_count, size=size)
