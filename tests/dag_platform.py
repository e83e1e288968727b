"""The fake platform with an engine that runs pipelines and sweeps itself. Read as text by the tests.

What each step does is in `RUN.steps.json`: {"train": {"state": "running", "log": [...]}}.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fake_plugin import FAKE, FakeEngine, engine
from robotrain.model.run import StepStatus
from robotrain.plugin import (
    YES,
    Output,
    PipelineRuns,
    Placement,
    Plan,
    Registered,
    Status,
    hook,
    make_job_document,
)


class DagEngine(FakeEngine, PipelineRuns):
    def render_pipeline(self, steps: Sequence[Any], job: Any, run: str, finished: Mapping[str, Any]) -> Plan:
        documents = {}
        for step in steps:
            folders = {name: f"${{DAG_{name.upper()}}}" for name in step.takes}
            placement = Placement(
                work=f"/dag/{step.name}",
                cache="/dag/cache",
                mounts=step.list_mounts(folders),
                handover=f"/dag/{step.name}/out" if step.hands_over else "",
            )
            body = make_job_document(
                step.job,
                run=f"{run}-{step.name}",
                platform=self.platform.name,
                container_plugins=step.container_plugins,
                placement=placement,
            )
            documents[step.name] = {
                "needs": step.needs,
                "job": json.loads(body.to_json()),
                "slots": step.settings.slots,
            }
        spec = {"steps": documents, "finished": {name: dict(finished_step) for name, finished_step in finished.items()}}
        files = {"dag.json": json.dumps(spec, indent=1).encode()}
        return Plan(platform=self.platform.name, run=run, job=job, spec="dag.json", files=files, shown=("dag.json",))

    def _steps(self, reference: Any) -> dict[str, Any]:
        path = engine() / f"{reference['id']}.steps.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def status(self, reference: Any) -> Status:
        if "step" in reference:
            return Status(state=self._steps(reference)[reference["step"]]["state"])
        return super().status(reference)

    def list_steps(self, reference: Any) -> list[StepStatus]:
        steps = self._steps(reference).items()
        return [StepStatus(name=name, state=step["state"], reason=step.get("reason", "")) for name, step in steps][::-1]

    def has_step_output(self, reference: Any) -> bool:
        return (engine() / "jobs" / reference["id"]).exists()

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        state = self._steps(reference)[reference["step"]] if "step" in reference else self._state(reference)
        yield from state.get("log", [])

    def outputs(self, reference: Any) -> Iterator[Output]:
        if "step" not in reference:
            yield from super().outputs(reference)
            return
        for step in self._steps(reference)[reference["step"]].get("checkpoints", []):
            path = f"/dag/{reference['id']}/{reference['step']}/{step:06}"
            yield Output(name=f"checkpoints/{step:06}", kind="checkpoint", source="local_path", uri=path, step=step)

    def register(self, reference: Any, name: str, step: int | None) -> Registered:
        return Registered(name=name, version="1", step=40, uri=f"models:/{name}/{reference['step']}")


DAG = replace(
    FAKE,
    name="dag",
    summary="a folder that runs pipelines",
    engine_class=DagEngine,
    capabilities=replace(
        FAKE.capabilities,
        features={**FAKE.capabilities.features, "native_dag": YES, "cancel": YES},
    ),
)


@hook
def robotrain_platforms() -> list[Any]:
    return [DAG]
