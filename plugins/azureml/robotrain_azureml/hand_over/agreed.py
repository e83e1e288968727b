"""Where the text of a job and its order differ: somebody changed in the one what goes with the other, so that not the
job would be looked at that is sent.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_azureml import order
from robotrain_azureml.order import Order
from robotrain_azureml.spec import outputs


def problems(job: Mapping[str, Any], wanted: Order, stage: Stage) -> Iterator[Problem]:
    """One for each part. job: as it is written in the plan."""
    environment = f"azureml:{wanted.environment.name}:{wanted.environment.version}"
    output = (job.get("outputs") or {}).get(wanted.output) or {}
    parts = (
        ("name", job.get("name"), wanted.run, "--attempt N"),
        ("compute", job.get("compute"), f"azureml:{wanted.compute}", "--compute NAME"),
        ("environment", job.get("environment"), environment, "--environment-name NAME"),
        (
            f"outputs.{wanted.output}.path",
            output.get("path"),
            outputs.path(wanted.datastore, wanted.run, wanted.output),
            "--datastore NAME",
        ),
    )
    for name, said, ordered, flag in parts:
        if said != ordered:
            yield _changed(name, str(said), ordered, flag, stage)


def _changed(name: str, said: str, ordered: str, flag: str, stage: Stage) -> Problem:
    return Problem(
        code="plan-changed-in-part",
        stage=stage,
        title=f"the plan was changed in {order.SPEC}, and not in {order.FILE}: {name}",
        where=f"{order.SPEC}: {name}",
        given=redact(said),
        why=f"{order.FILE} goes with {ordered}: that is what is looked at and brought.",
        instead=(Instead(f"robotrain render … {flag} --to FOLDER", "renders both"),),
    )
