"""A platform that takes every kind of source: its plugin, as a stranger would write it. Read as text by the tests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from robotrain.plugin import (
    YES,
    Capabilities,
    Param,
    Placement,
    Plan,
    Platform,
    PlatformEngine,
    PlatformPlans,
    Status,
    hook,
    make_job_document,
    no,
    not_yet,
)

KINDS = ("huggingface", "blob_url", "data_asset", "local_path")


@dataclass(frozen=True, kw_only=True)
class Settings:
    zone: Annotated[str, Param(help="where it runs", env=("PLAIN_ZONE",))] = "north"
    replicas: Annotated[int, Param(help="how many", gt=0)] = 1


class PlainEngine(PlatformPlans, PlatformEngine):
    def check(self, job: Any, settings: Settings) -> Iterator[Any]:
        return iter(())

    def render(
        self, job: Any, settings: Settings, run: str, payload: Any, container_plugins: Mapping[str, str]
    ) -> Plan:
        placement = Placement(work="/plain/work", cache="/plain/cache")
        body = make_job_document(
            job, run=run, platform=self.platform.name, container_plugins=container_plugins, placement=placement
        )
        files = {"job.json": body.to_json().encode(), "zone.txt": settings.zone.encode()}
        return Plan(platform=self.platform.name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))

    def preflight(self, plan: Plan) -> Iterator[Any]:
        return iter(())

    def submit(self, plan: Plan) -> dict[str, str]:
        return {"id": "m-1"}

    def status(self, reference: Any) -> Status:
        return Status(state="succeeded")

    def find(self, plan: Plan) -> dict[str, str] | None:
        return None

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        return iter(())

    def cancel(self, reference: Any) -> None:
        pass

    def outputs(self, reference: Any) -> Iterator[Any]:
        return iter(())

    def download(self, reference: Any, output: Any, to: Path) -> None:
        pass


PLAIN = Platform(
    name="plain",
    summary="a plain platform",
    engine_class=PlainEngine,
    settings=Settings,
    capabilities=Capabilities(
        sources={
            **{("dataset", kind): YES for kind in KINDS},
            ("policy", "blob_url"): not_yet("The line is being laid."),
            ("backbone", "torchvision"): YES,
        },
        workloads={"lerobot-train": YES},
        features={
            "several_datasets": YES,
            "multi_gpu": YES,
            "mixed_precision": not_yet("Only full precision works.", "train in full precision"),
            "register_model": no("There is no model registry."),
        },
    ),
)


@hook
def robotrain_platforms() -> list[Platform]:
    return [PLAIN]
