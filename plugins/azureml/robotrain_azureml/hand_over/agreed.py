"""Where the text of a job and what goes with it differ: somebody changed in the one what the other says as well, so
that not the job would be looked at, or traced, that is sent.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain_runtime.document import JobDocument

from robotrain_azureml import order
from robotrain_azureml.order import Order
from robotrain_azureml.spec import inputs, outputs

IDENTITY = "environment_variables.AZURE_CLIENT_ID"
_INPUT = r"\$\{AZURE_ML_INPUT_(\w+)\}"


class Part(NamedTuple):
    """A key of the job. ordered: what the other file goes with; empty for nothing. flag: what renders both."""

    key: str
    ordered: str
    flag: str
    file: str = order.FILE


def problems(job: Mapping[str, Any], wanted: Order, told: JobDocument, stage: Stage) -> Iterator[Problem]:
    """One for each part. job: as it is written in the plan. told: its document."""
    for part in (*_ordered(wanted), *_mounted(job, wanted, told), *_looked_at(job, wanted, told)):
        if at(job, part.key) != part.ordered:
            yield _changed(part, at(job, part.key), stage)


def at(job: Mapping[str, Any], key: str) -> str:
    """What a job says at `resources.shm_size`; empty for nothing."""
    found: Any = job
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return str(found) if isinstance(found, str | int | float) else ""


def _ordered(wanted: Order) -> Iterator[Part]:
    place = outputs.path(wanted.datastore, wanted.run, wanted.output)
    yield Part("name", wanted.run, "--attempt N")
    yield Part("compute", f"azureml:{wanted.compute}", "--compute NAME")
    yield Part(
        "environment", f"azureml:{wanted.environment.name}:{wanted.environment.version}", "--environment-name NAME"
    )
    yield Part("resources.instance_type", wanted.instance_type, "--instance-type NAME")
    yield Part(IDENTITY, wanted.identity, "--workload-identity CLIENT-ID")
    yield Part(f"outputs.{wanted.output}.path", place, "--datastore NAME")


def _mounted(job: Mapping[str, Any], wanted: Order, told: JobDocument) -> Iterator[Part]:
    """The inputs, as the document has them: what the run is traced to."""
    for mount in told.placement.mounts:
        if found := re.fullmatch(_INPUT, mount.folder):
            key = f"inputs.{found[1]}.path"
            brought = [inputs.folder(wanted.datastore, one.to) for one in wanted.uploads if one.path == mount.uri]
            one_of = [mount.origin] if mount.origin else brought
            ordered = at(job, key) if at(job, key) in one_of else next(iter(one_of), "")
            yield Part(key, ordered, f"{inputs.flag_of(f'input {found[1]}')} …", order.JOB)


def _looked_at(job: Mapping[str, Any], wanted: Order, told: JobDocument) -> Iterator[Part]:
    """The assets of the order that neither of them has."""
    known = {mount.origin for mount in told.placement.mounts}
    known |= {at(job, f"inputs.{name}.path") for name in job.get("inputs") or ()}
    for asset in wanted.assets:
        if inputs.path(asset) not in known:
            yield Part("inputs", inputs.path(asset), f"{asset.flag} …")


def _changed(part: Part, said: str, stage: Stage) -> Problem:
    return Problem(
        code="plan-changed-in-part",
        stage=stage,
        title=f"the plan was changed in {order.SPEC}, and not in {part.file}: {part.key}",
        where=f"{order.SPEC}: {part.key}",
        given=redact(said),
        why=f"{part.file} goes with {part.ordered or 'none'}: that is what is looked at, brought and traced.",
        instead=(Instead(f"robotrain render … {part.flag} --to FOLDER", "renders both"),),
    )
