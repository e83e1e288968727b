"""Jobs and plans for OSMO without a command line, and what a container and OSMO find in a plan."""

import functools
import io
import random
import tarfile
import zipfile
from typing import Any

import yaml
from robotrain.config.coerce import list_fields
from robotrain.errors import Problem
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain.model.workload import WorkloadProfile
from robotrain_osmo.platform import OsmoPlatform
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import render
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_eval.parameters import EvalParameters as Evaluation
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

HALVES = {"workload.lerobot-train": "robotrain_workloads.lerobot_train.container"}
ONE = "https://account1.blob.core.windows.net/train/set1"
TWO = "https://account2.blob.core.windows.net/train/set2"
PINNED = f"folder:{'ab' * 32}:{'cd' * 16}:12:3456"


@functools.cache
def payload(size: int = 0) -> Payload:
    """A small payload with `size` bytes that cannot be compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("robotrain_runtime/__main__.py", "print('here')")
        packed.writestr("robotrain_runtime/noise", random.Random(0).randbytes(size))
    return Payload(buffer.getvalue())


def source(kind: str, uri: str, role: Any = "dataset", pin: str = "") -> JobSource:
    return JobSource(role=role, kind=kind, uri=uri, pin=pin)


def blobs(*urls: str) -> list[JobSource]:
    return [source("blob_url", url) for url in urls or (ONE,)]


def job(*sources: JobSource, workload: str = "lerobot-train", trainer_args: tuple[str, ...] = (), **given: Any) -> Job:
    """A training with OSMO's defaults: data is loaded in one process."""
    parameters = list_fields(TrainParameters(**{"num_workers": 0} | given))
    return Job(
        workload=workload,
        parameters=parameters,
        sources=sources or tuple(blobs()),
        trainer_args=trainer_args,
        profile=LEROBOT_TRAIN.profile if workload == LEROBOT_TRAIN.name else WorkloadProfile(),
    )


def evaluation(*sources: JobSource, **given: Any) -> Job:
    """An evaluation of a policy in blob storage, unless other sources are given."""
    parameters = list_fields(Evaluation(**{"env": "pusht"} | given))
    return Job(
        workload="lerobot-eval",
        parameters=parameters,
        sources=sources or (source("blob_url", ONE, "policy"),),
        profile=LEROBOT_EVAL.profile,
    )


def settings(**given: Any) -> OsmoSettings:
    return OsmoSettings(**{"pool": "gpu-pool", "tracking_uri": "none"} | given)


def plan(of: Job, attempt: int = 1, packed: Payload | None = None, **given: Any) -> Plan:
    return OsmoPlatform().render(of, settings(**given), of.run_name(attempt), packed or payload(), HALVES)


def problems(of: Job, **given: Any) -> list[Problem]:
    return list(OsmoPlatform().check(of, settings(**given)))


def codes(of: Job, **given: Any) -> set[str]:
    """The problems that are errors."""
    return {problem.code for problem in problems(of, **given) if problem.severity == "error"}


def read(text: str | bytes) -> Any:
    """Parse YAML, with the fast parser if it is available."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def workflow(of: Plan) -> dict[str, Any]:
    return dict(read(of.files["workflow.yaml"])["workflow"])


def task(of: Plan) -> dict[str, Any]:
    (found,) = workflow(of)["tasks"]
    return dict(found)


def unpacked(archive: bytes | str) -> dict[str, bytes]:
    """The files of an archive, by path; as text it is that of a workflow."""
    archive = render.decode_archive(archive) if isinstance(archive, str) else archive
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:bz2") as packed:
        return {member.name: packed.extractfile(member).read() for member in packed}  # type: ignore[union-attr]


def document_of(of: Plan) -> document.JobDocument:
    return document.parse_document(of.files["job.json"].decode())


def placement(of: Plan) -> document.Placement:
    return document_of(of).placement
