"""A plan's job under the name that it gets in the workspace: in it, and in the folders of the datastore that are its
alone, which no other job of the same plan reads or writes.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain.run import Reference
from robotrain_runtime import document

from robotrain_azureml import order
from robotrain_azureml.hand_over import agreed, handed, unfit
from robotrain_azureml.order import Order
from robotrain_azureml.spec import inputs, outputs

KIND = "command"


def spec(plan: Plan, wanted: Order, name: str, code: str = "") -> bytes:
    """The text of the job. code: where its code lies in Azure; empty for the folder beside it. Raises Rejected."""
    import yaml

    job = _read(plan, wanted, Stage.SUBMIT)
    if found := list(_wrong(plan, job, wanted, Stage.SUBMIT)):
        raise Rejected(found)
    job["name"] = name
    job["outputs"][wanted.output]["path"] = outputs.path(wanted.datastore, name, wanted.output)
    moved = {inputs.folder(wanted.datastore, one.to): _to(wanted, one.to, name) for one in wanted.uploads}
    for name, one in (job.get("inputs") or {}).items():
        if to := moved.get(agreed.at(job, f"inputs.{name}.path")):
            one["path"] = inputs.folder(wanted.datastore, to)
    if code:
        job["code"] = f"azureml:{code}"
    return yaml.safe_dump(job, sort_keys=False, width=float("inf")).encode()


def order_of(wanted: Order, name: str) -> Order:
    """The order of the job: what has no digest is uploaded to a folder of this job alone."""
    uploads = tuple(dataclasses.replace(one, to=_to(wanted, one.to, name)) for one in wanted.uploads)
    return dataclasses.replace(wanted, uploads=uploads)


def unlike(plan: Plan, wanted: Order, stage: Stage) -> list[Problem]:
    """What somebody changed in the job alone, or made no job of, or none that Azure would take."""
    try:
        return list(_wrong(plan, _read(plan, wanted, stage), wanted, stage))
    except Rejected as rejected:
        return list(rejected.problems)


def reference(wanted: Order, name: str, code: str = "") -> Reference:
    """What finds a job again. code: the id of its code in Azure's resource manager; empty where nobody told."""
    return {
        "job": name,
        "run": wanted.run,
        "subscription": wanted.subscription,
        "group": wanted.group,
        "workspace": wanted.workspace,
        "datastore": wanted.datastore,
        "output": outputs.folder(name, wanted.output),
        "publishes": wanted.publishes,
        "code": code,
    }


def _wrong(plan: Plan, job: Mapping[str, Any], wanted: Order, stage: Stage) -> Iterator[Problem]:
    """Raises Rejected."""
    try:
        told = document.load(plan.files[order.JOB].decode())
    except (document.DocumentError, UnicodeDecodeError) as error:
        raise Rejected([handed.damaged(stage, f"{order.JOB} is no job document.")]) from error
    yield from agreed.problems(job, wanted, told, stage)
    yield from unfit.problems(job, stage)


def _to(wanted: Order, to: str, name: str) -> str:
    rest = to.removeprefix(f"{outputs.own(wanted.run)}/")
    return to if rest == to else f"{outputs.own(name)}/{rest}"


def _read(plan: Plan, wanted: Order, stage: Stage) -> dict[str, Any]:
    import yaml

    try:
        job = yaml.load(plan.files[plan.spec], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if job["outputs"][wanted.output]["path"] and job["name"] and job["code"] == order.CODE and job["type"] == KIND:
            told: dict[str, Any] = job
            return told
    except (yaml.YAMLError, KeyError, TypeError):
        pass
    why = f"{plan.spec} is no command job with the code and the output of this plan."
    raise Rejected([handed.damaged(stage, why)])
