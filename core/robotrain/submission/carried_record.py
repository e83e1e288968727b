"""What the job document of a run carries, so that another machine can record the run, and the job made of it again."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.document import JOB_FILE_KEY, JobDocument
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import __version__
from robotrain.config.trainer_args import list_argument_rows
from robotrain.config.validate import list_fields
from robotrain.config.values import Origin, Value
from robotrain.model.job import BESIDE_KEY, SAME_KEY, TRAINER_ARGS, Job
from robotrain.model.plan import MANAGED_KEY
from robotrain.model.platform import Platform
from robotrain.model.run import RUN_PATTERN
from robotrain.model.workload import Workload
from robotrain.store import run_values
from robotrain.store.run_values import RESUME_ROLE
from robotrain.submission.published_job import format_published_job
from robotrain.submission.run_labels import MAX_NOTE, RunLabels, clean_name, is_valid_name

WRITER_KEY = "robotrain"
"""The version of the robotrain that sent the run."""
LABEL_KEYS = ("name", "note", "parent")


def carry_labels(job: Job, labels: RunLabels, *, is_new: bool = False) -> Job:
    """Return the job with what its user calls the run, for its document.

    :param is_new: whether the user wants it beside the same job of another machine.
    """
    record: dict[str, Any] = {key: label for key in LABEL_KEYS if (label := getattr(labels, key))}
    if is_new:
        record[BESIDE_KEY] = True
    return dataclasses.replace(job, record=record)


def carry_record(
    job: Job, settings: Any, value_rows: Iterable[Mapping[str, Any]], is_placed: bool, default_name: str, same_key: str
) -> Job:
    """Return the job with what its document needs beside what the runtime reads: settings, chosen values, labels.

    :param value_rows: as those of a plan.
    :param is_placed: whether the document may have other addresses and kinds than its sources.
    :param default_name: the name of a run whose user gives it none.
    :param same_key: what the same job has on every machine.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    value_rows = tuple(value_rows)
    record = {
        "name": default_name,
        **{key: job.record[key] for key in LABEL_KEYS if key in job.record},
        WRITER_KEY: __version__,
        SAME_KEY: same_key,
        "settings": {name: value for name, value in list_fields(settings) if value != defaults[name]},
        "values": {name: list(pair) for name, pair in run_values.collect_chosen(value_rows, job.sources).items()},
        "labels": dict(job.labels),
        "title": job.title,
        JOB_FILE_KEY: format_published_job(job, value_rows),
        "uris": [source.uri for source in job.sources] if is_placed else [],
        "kinds": [source.kind for source in job.sources] if is_placed else [],
    }
    return dataclasses.replace(job, record={key: value for key, value in record.items() if value})


def restore_job(document: JobDocument, workload: Workload) -> Job:
    """Return the job of a document. Raise ValueError, TypeError, LookupError, AttributeError: it is damaged."""
    record = document.record
    parameter_values = {**document.parameters, **record.get(MANAGED_KEY, {})}
    declared_names = [
        parameter.name for parameter in get_parameters(workload.parameters) if parameter.name in parameter_values
    ]
    uris = record.get("uris") or [source.uri for source in document.sources]
    kinds = record.get("kinds") or [source.kind for source in document.sources]
    for text in (*uris, *kinds, record.get("title", ""), *(record.get(key, "") for key in LABEL_KEYS)):
        if not isinstance(text, str):
            raise TypeError("the record has a value that is no text")
    for value, default in record.get("values", {}).values():
        if not (isinstance(value, str) and isinstance(default, str)):
            raise TypeError("the record has a chosen value that is no text")
    return Job(
        workload=document.workload,
        parameters=tuple(
            (name, parameter_values[name]) for name in dict.fromkeys([*declared_names, *parameter_values])
        ),
        sources=tuple(
            dataclasses.replace(source, uri=uri, kind=kind)
            for source, uri, kind in zip(document.sources, uris, kinds, strict=True)
        ),
        trainer_args=document.trainer_args,
        profile=workload.profile,
        labels=tuple(record.get("labels", {}).items()),
        title=record.get("title", ""),
        program_lock=document.program_lock,
        program_python=document.program_python,
        program_files=tuple(document.program_files.items()),
        record=_restore_labels(record),
    )


def _restore_labels(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what the user of a run calls it, as this machine would have accepted it: somebody may have edited it."""
    name, note, parent = (record.get(key, "") for key in LABEL_KEYS)
    name = name if is_valid_name(name) else clean_name(name)
    labels = {
        "name": name if is_valid_name(name) else "",
        "note": note[:MAX_NOTE],
        "parent": parent if RUN_PATTERN.fullmatch(parent) else "",
    }
    return {key: label for key, label in labels.items() if label}


def list_personal_settings(platform: Platform) -> dict[str, str]:
    """Return what each setting names that names something of its user: those of another machine do not count here."""
    return {
        parameter.name: parameter.param.names
        for parameter in get_parameters(platform.settings)
        if parameter.param.names
    }


def was_chosen(document: JobDocument, name: str) -> bool:
    """Return whether whoever submitted a run gave a value, not the platform, as far as its document tells."""
    chosen_values = document.record.get("values")
    return not isinstance(chosen_values, Mapping) or name in chosen_values


def restore_values(
    document: JobDocument, job: Job, settings: Mapping[str, Any], workload: Workload
) -> Iterator[dict[str, Any]]:
    """Yield the values of a job, as those of a plan: who chose them is known, and not where."""
    chosen_values = document.record.get("values", {})
    origin = str(Origin("run", document.run))
    for source in job.sources:
        made_by = Origin("run", job.record.get("parent", "")) if source.role == RESUME_ROLE else origin
        text = "implied" if source.implied else str(made_by)
        yield {"name": source.role, "value": f"{source.kind} {source.uri}", "origin": text, "overrode": []}
    for name, value in {**dict(job.parameters), **settings}.items():
        default = [{"value": chosen_values[name][1] or None, "origin": "default"}] if name in chosen_values else []
        yield {
            "name": name,
            "value": value,
            "origin": origin if name in chosen_values else "default",
            "overrode": default,
        }
    arguments = [Value(text, Origin("run", document.run)) for text in job.trainer_args]
    for argument, option_columns in list_argument_rows(arguments, workload):
        yield {"name": TRAINER_ARGS, "value": argument.value, "origin": origin, "overrode": [], **option_columns}
