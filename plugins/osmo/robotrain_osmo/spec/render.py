"""From a job to the plan of a workflow. Pure: no clock, no randomness, no network, no look at a disk."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robotrain import plan
from robotrain.job import Job
from robotrain.payload import Payload
from robotrain.problem import Rejected
from robotrain_runtime.document import Placement, dump

from robotrain_osmo import credentials, machine, order, tracking
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import archive, bootstrap, brought, size, text, workflow
from robotrain_osmo.spec import carried as carrying
from robotrain_osmo.spec import environment as environ
from robotrain_osmo.spec.carried import Carried

FILE = "/opt/robotrain/job.tar.bz2"
"""Where OSMO puts the archive in the container."""
WAYS = {
    "huggingface": "--hf-credential NAME",
    "blob_url": "--blob-credential NAME",
    "wandb": "--wandb-credential NAME",
}


def render(job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> plan.Plan:
    """The plan: the workflow, how it is handed over, and the job document for people. Raises Rejected when it is more
    than OSMO takes.
    """
    made = _Made(job, settings, run)
    document = made.document(halves)
    packed = archive.pack(payload, document)
    files = made.inline(packed)
    if (found := len(files[order.WORKFLOW])) > size.LARGE and settings.storage_account:
        files = made.apart(packed)
    elif found > size.MOST:
        raise Rejected([size.too_large(found)])
    return plan.Plan(
        platform="osmo",
        run=run,
        job=job,
        spec=order.WORKFLOW,
        files=files | {order.JOB: document},
        shown=(order.WORKFLOW, order.JOB),
    )


@dataclass(frozen=True)
class _Made:
    """What the files of a plan are made from. work: the run's folder in the container."""

    job: Job
    settings: Settings
    run: str
    work: str = field(init=False)
    sources: tuple[brought.Brought, ...] = field(init=False)
    carried: Carried | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "work", f"{self.settings.work_dir}/{self.run}")
        object.__setattr__(self, "sources", tuple(brought.brought(self.job, self.settings, self.run)))
        object.__setattr__(self, "carried", carrying.carried(self.job, self.work))

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        """The sources that OSMO brings, then what an earlier attempt left."""
        return [*(one.entry for one in self.sources), *({"url": str(one.url)} for one in self._back)]

    @property
    def _back(self) -> list[Carried]:
        """What OSMO brings back when the run starts anew."""
        return [self.carried] if self.carried and self.carried.back else []

    def document(self, halves: Mapping[str, str]) -> bytes:
        """The job document."""
        return dump(
            plan.document(
                self.job,
                run=self.run,
                platform="osmo",
                halves=halves,
                placement=self._placement(),
                without=(carrying.PARAMETER,) if self.carried else (),
            )
        ).encode()

    def inline(self, packed: bytes) -> dict[str, bytes]:
        """The workflow with the archive in it, and the order."""
        file = {"path": FILE, "base64": True, "contents": text.ARCHIVE}
        handed = order.dump(self._order())
        spec = self._workflow(FILE, self.inputs, [file], _digest(packed, handed))
        return {
            order.WORKFLOW: text.dump(spec, base64.b64encode(packed).decode()).encode(),
            order.FILE: handed,
        }

    def apart(self, packed: bytes) -> dict[str, bytes]:
        """The same with the archive beside the workflow: it is uploaded, and is the last of the inputs."""
        upload = order.Upload(path="", url=brought.address(packed, self.settings), files=1, size=len(packed))
        handed = order.dump(self._order(upload))
        place = f"{brought.variable(len(self.inputs))}/{order.PAYLOAD}"
        spec = self._workflow(place, [*self.inputs, {"url": upload.url}], [], _digest(packed, handed))
        return {order.WORKFLOW: text.dump(spec).encode(), order.FILE: handed, order.PAYLOAD: packed}

    def _placement(self) -> Placement:
        named = {one.setting: one for one in self._credentials()}
        blob = named.get("--blob-credential")
        return Placement(
            work=self.work,
            cache=f"{self.settings.work_dir}/cache",
            tracking_uri=tracking.uri(self.settings),
            credentials={"blob_url": f"{credentials.MOUNT}/{blob.key}"} if blob else {},
            download_mib=self.settings.download_mib,
            cache_gib=self.settings.cache_gib,
            mounts=tuple(one.mount(index) for index, one in enumerate(self.sources)),
            promised=environ.promised(self.job),
            submission=environ.SUBMISSION,
            left=brought.variable(len(self.sources)) if self._back else "",
            ways=WAYS,
        )

    def _workflow(
        self, place: str, inputs: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]], digest: str
    ) -> dict[str, Any]:
        return workflow.workflow(
            self.job,
            self.settings,
            self.run,
            command=bootstrap.command(place, self.work),
            environment=environ.environment(self.job, self.settings, len(inputs), digest),
            inputs=inputs,
            checkpoint=self.carried.entry if self.carried else None,
            files=files,
        )

    def _order(self, *archives: order.Upload) -> order.Order:
        settings = self.settings
        return order.Order(
            run=self.run,
            cli=settings.osmo_cli,
            pool=settings.pool or "",
            server=settings.server,
            task=self.job.workload,
            gpu_platform=settings.gpu_platform,
            priority=settings.priority or "",
            exec_timeout=machine.of(self.job.profile, settings).exec_timeout,
            mounts=workflow.mounts(settings),
            shared_memory=settings.shared_memory or "",
            uploads=(*(one.upload for one in self.sources if one.upload), *archives),
            inputs=tuple(one.needed for one in self.sources if one.needed),
            credentials=tuple(
                order.Credential(name=one.name, key=one.key, flag=one.setting, what=one.what)
                for one in self._credentials()
            ),
            publishes=carrying.published(self.job, self.work),
            identity=settings.workload_identity or "",
            subscription=settings.subscription_id or "",
        )

    def _credentials(self) -> tuple[credentials.Named, ...]:
        return credentials.used(self.job, self.settings)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]
