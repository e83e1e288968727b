"""The preview of a job: what a submit will do, in rows for people and programs, and what is probably not meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.code_commit_tags import format_commit
from robotrain.model.job import GPUS_PARAMETER, NODES_PARAMETER, PUBLISH_PARAMETER, TRAINER_DEFAULT, Job
from robotrain.model.platform import Platform
from robotrain.model.preview import JobFacts, RunPlace
from robotrain.model.workload import Workload
from robotrain.redaction import redact, redact_if_secret
from robotrain.store.run_values import is_chosen_row
from robotrain.submission import program_lock

make_problem = Messages(__file__)

STEPS, BATCH, DEVICE = "steps", "batch", "device"
OUTPUTS_FOLDER = "outputs"
"""The folder of the outputs in that of a run, unless a parameter names another."""


class PreviewRow(NamedTuple):
    """A row of a preview."""

    name: str
    value: str
    differs: str = ""
    """What the trainer does by itself, if the value is another one."""


def list_preview_rows(
    job: Job,
    workload: Workload,
    platform: Platform,
    run_place: RunPlace,
    facts: JobFacts,
    value_rows: Iterable[Mapping[str, Any]] = (),
) -> Iterator[PreviewRow]:
    """Yield what a submit will do, a dozen rows."""
    parameter_by_name = {parameter.name: parameter for parameter in get_parameters(workload.parameters)}

    def list_rows(word: str, name: str, text: str = "") -> Iterator[PreviewRow]:
        if name in parameter_by_name and (value := dict(job.parameters)[name]) not in (None, ""):
            yield PreviewRow(
                word, redact(text or _format_value(value)), _find_difference(parameter_by_name[name], value, workload)
            )

    yield PreviewRow("workload", f"{workload.name}: {workload.summary}")
    yield from (PreviewRow(word, redact(text)) for word, text in facts.rows.items())
    yield from (
        _describe_source(source, facts) for source in job.sources if not (source.implied or source.role in facts.rows)
    )
    if workload.own_command:
        yield PreviewRow("command", redact(shlex.join(workload.own_command.list_words(job))))
    for word, name in workload.preview.rows.items():
        yield from list_rows(word, name)
    if epochs := count_epochs(job, workload, facts):
        yield PreviewRow("epochs", f"{epochs:,.{0 if epochs >= 10 else 1}f}, each of {facts.frames:,} frames")
    is_on_cpu = computes_on_cpu(job, run_place)
    device = "auto: the CPU, since there is no GPU" if is_on_cpu and dict(job.parameters)[DEVICE] == "auto" else ""
    yield from list_rows(DEVICE, DEVICE, device)
    if GPUS_PARAMETER in parameter_by_name or DEVICE in parameter_by_name:
        node_suffix = " on each node" if job.training_nodes > 1 else ""
        has_no_gpu = is_on_cpu or (DEVICE not in parameter_by_name and run_place.lacks_gpu())
        gpus = "0" if has_no_gpu else f"{job.used_gpus}{node_suffix}"
        gpu_rows = [*list_rows("GPUs", GPUS_PARAMETER, gpus)]
        yield from [PreviewRow("GPUs", gpus)] if has_no_gpu or not gpu_rows else gpu_rows
    yield from (
        list_rows("nodes", NODES_PARAMETER) if NODES_PARAMETER in parameter_by_name else (PreviewRow("nodes", "1"),)
    )
    yield PreviewRow("platform", f"{platform.name}: {platform.summary}" if platform.summary else platform.name)
    if run_place.time_limit:
        yield PreviewRow("time limit", run_place.time_limit)
    if outputs_text := _describe_outputs(job, parameter_by_name, run_place.outputs, run_place.folder):
        yield PreviewRow(workload.produces, outputs_text)
    if run_place.tracking:
        yield PreviewRow("tracking", redact_if_secret(run_place.tracking))
    if locked := program_lock.describe_lock(value_rows):
        yield PreviewRow("packages", locked)


def list_hidden_differences(value_rows: Iterable[Mapping[str, Any]], shown_names: Collection[str]) -> str:
    """Return the defaults that are robotrain's own and that no row shows, as text.

    :param shown_names: the parameters that rows show.
    """
    differing_rows = (row for row in value_rows if TRAINER_DEFAULT in row and row["name"] not in shown_names)
    return ", ".join(f"{row['name']} {row['value']} ({row[TRAINER_DEFAULT]})" for row in differing_rows)


def _format_value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _find_difference(parameter: Parameter, value: Any, workload: Workload) -> str:
    """Return what the trainer does by itself; empty if the value is that, or there is no such thing."""
    default = parameter.param.trainer_default
    if default:
        return (
            ""
            if default.rpartition(" ")[2] in (str(value), f"{value:g}" if isinstance(value, float) else "")
            else default
        )
    if workload.own_command or parameter.default in (None, value):
        return ""
    return f"default: {_format_value(parameter.default)}"


def _describe_source(source: JobSource, facts: JobFacts) -> PreviewRow:
    commit = f" ({commit})" if (commit := format_commit(source)) else ""
    data_text = f": {facts.data[source]}" if source in facts.data else ""
    return PreviewRow(source.role, f"{redact_if_secret(source.uri)}{commit}{data_text}")


def _describe_outputs(job: Job, parameter_by_name: Mapping[str, Parameter], outputs: str, folder: str) -> str:
    parameter_values = dict(job.parameters)
    own_folder = next(
        (parameter_values[name] for name, parameter in parameter_by_name.items() if parameter.param.own_folder), None
    )
    output_folder = (
        os.path.join(folder, str(own_folder or OUTPUTS_FOLDER), job.profile.outputs.folder) if folder else ""
    )
    copies = (
        [f"copied to {redact(str(parameter_values[PUBLISH_PARAMETER]))}"]
        if parameter_values.get(PUBLISH_PARAMETER)
        else []
    )
    register = parameter_values.get(job.profile.outputs.register_parameter)
    copies += [f"registered as {register}"] if register else []
    return "; ".join([*filter(None, (outputs or output_folder,)), *copies])


def count_epochs(job: Job, workload: Workload, facts: JobFacts) -> float:
    """Return how often a training sees each frame; 0 if that is unknown."""
    parameter_values, rows = dict(job.parameters), workload.preview.rows
    steps, batch = (parameter_values.get(rows.get(word, "")) for word in (STEPS, BATCH))
    if not (isinstance(steps, int) and isinstance(batch, int) and facts.frames):
        return 0.0
    return steps * batch * max(1, job.training_gpus) * job.training_nodes / facts.frames


def computes_on_cpu(job: Job, run_place: RunPlace) -> bool:
    """Return whether it is known that a job computes on a CPU: it says so, or its machine has no GPU."""
    device = dict(job.parameters).get(DEVICE)
    return device == "cpu" or (device == "auto" and run_place.lacks_gpu())


def find_missing_gpu(job: Job, run_place: RunPlace, value_rows: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield the problem of a GPU that was asked for where there is none: an error for one in the command itself.

    :param value_rows: the values of the job, as its plan has them.
    """
    gpu_row = next((row for row in value_rows if row["name"] == GPUS_PARAMETER and is_chosen_row(row)), None)
    device = dict(job.parameters).get(DEVICE, "auto")
    if gpu_row and job.used_gpus == 1 and device == "auto" and run_place.lacks_gpu():  # preflight refuses the others
        way = Suggestion("--device cpu" if DEVICE in dict(job.parameters) else "--num-gpus 0", "does without")
        if gpu_row["origin"].startswith("flag "):
            yield make_problem("gpu-unavailable.typed", way, given=str(gpu_row["value"]))
        else:
            yield make_problem("gpu-unavailable.chosen", way, given=str(gpu_row["value"]), origin=gpu_row["origin"])
