"""A plan's job under the name that it gets in the workspace: in it, and in the folders of the datastore that are its
alone, which no other job of the same plan reads or writes.
"""

import dataclasses
from typing import Any

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain.run import Reference

from robotrain_azureml import order
from robotrain_azureml.hand_over import agreed, handed
from robotrain_azureml.order import Order
from robotrain_azureml.spec import inputs, outputs


def spec(plan: Plan, wanted: Order, name: str, code: str = "") -> bytes:
    """The text of the job. code: where its code lies in Azure; empty for the folder beside it. Raises Rejected."""
    import yaml

    job = _read(plan, wanted, Stage.SUBMIT)
    if found := list(agreed.problems(job, wanted, Stage.SUBMIT)):
        raise Rejected(found)
    job["name"] = name
    job["outputs"][wanted.output]["path"] = outputs.path(wanted.datastore, name, wanted.output)
    moved = {inputs.folder(wanted.datastore, one.to): _to(wanted, one.to, name) for one in wanted.uploads}
    for one in (job.get("inputs") or {}).values():
        if to := moved.get(one.get("path")):
            one["path"] = inputs.folder(wanted.datastore, to)
    if code:
        job["code"] = f"azureml:{code}"
    return yaml.safe_dump(job, sort_keys=False, width=float("inf")).encode()


def order_of(wanted: Order, name: str) -> Order:
    """The order of the job: what has no digest is uploaded to a folder of this job alone."""
    uploads = tuple(dataclasses.replace(one, to=_to(wanted, one.to, name)) for one in wanted.uploads)
    return dataclasses.replace(wanted, uploads=uploads)


def unlike(plan: Plan, wanted: Order, stage: Stage) -> list[Problem]:
    """What somebody changed in the job alone, or made no job of."""
    try:
        return list(agreed.problems(_read(plan, wanted, stage), wanted, stage))
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


def _to(wanted: Order, to: str, name: str) -> str:
    rest = to.removeprefix(f"{outputs.own(wanted.run)}/")
    return to if rest == to else f"{outputs.own(name)}/{rest}"


def _read(plan: Plan, wanted: Order, stage: Stage) -> dict[str, Any]:
    import yaml

    try:
        job = yaml.load(plan.files[plan.spec], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if job["outputs"][wanted.output]["path"] and job["name"] and job["code"] == order.CODE:
            told: dict[str, Any] = job
            return told
    except (yaml.YAMLError, KeyError, TypeError):
        pass
    why = f"{plan.spec} is no command job with the code and the output of this plan."
    raise Rejected([handed.damaged(stage, why)])
