"""Jobs and plans for OSMO, made without a command line, and readers of their parts."""

import base64
import functools
import io
import random
import tarfile
import zipfile
from typing import Any

import planned_jobs
import yaml
from planned_jobs import ONE, PINNED, PLUGIN_MODULES, TWO, blobs, evaluation, source
from robotrain.errors import Problem
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain_osmo.platform import OSMO
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource

__all__ = ["ONE", "PINNED", "PLUGIN_MODULES", "TWO", "blobs", "evaluation", "source"]


@functools.cache
def payload(size: int = 0) -> Payload:
    """A small payload with `size` bytes that cannot be compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("robotrain_runtime/__main__.py", "print('here')")
        packed.writestr("robotrain_runtime/noise", random.Random(0).randbytes(size))
    return Payload(buffer.getvalue())


def job(*sources: JobSource, **parameters: Any) -> Job:
    """A training with OSMO's defaults: data is loaded in one process."""
    return planned_jobs.job(*sources, **{"num_workers": 0} | parameters)


def settings(**overrides: Any) -> OsmoSettings:
    return OsmoSettings(**{"pool": "gpu-pool", "tracking_uri": "none"} | overrides)


def render_plan(of: Job, attempt: int = 1, packed: Payload | None = None, **overrides: Any) -> Plan:
    return OSMO.plans.render(of, settings(**overrides), of.run_name(attempt), packed or payload(), PLUGIN_MODULES)


def find_problems(of: Job, **overrides: Any) -> list[Problem]:
    return list(OSMO.plans.check(of, settings(**overrides)))


def find_codes(of: Job, **overrides: Any) -> set[str]:
    """The problems that are errors."""
    return {problem.code for problem in find_problems(of, **overrides) if problem.severity == "error"}


def read_yaml(text: str | bytes) -> Any:
    """Parse YAML, with the fast parser if it is available."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_workflow(of: Plan) -> dict[str, Any]:
    return dict(read_yaml(of.files["workflow.yaml"])["workflow"])


def read_task(of: Plan) -> dict[str, Any]:
    (task,) = read_workflow(of)["tasks"]
    return dict(task)


def unpack_archive(archive: bytes | str) -> dict[str, bytes]:
    """The files of an archive, by path; as text it is that of a workflow."""
    archive = base64.b64decode(archive) if isinstance(archive, str) else archive
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:bz2") as packed:
        return {member.name: packed.extractfile(member).read() for member in packed}  # type: ignore[union-attr]


def read_document(of: Plan) -> document.JobDocument:
    return document.parse_document(of.files["job.json"].decode())


def read_placement(of: Plan) -> document.Placement:
    return read_document(of).placement
