"""A run to observe on any platform: what its runtime prints, and its record as if it had been submitted from here."""

import time
from typing import Any

from robotrain.model.platform import Platform
from robotrain.model.run import Output, RunRecord, Status
from robotrain.model.workload_profile import OutputProfile
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Outcome, StageEvent
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

RUN = "lerobot-train-fab69e8c-1"
EVENTS = (
    StageEvent(name="work", state="started"),
    Metrics(values={"train/loss": 0.5}, step=10, total=20),
    Metrics(values={"train/loss": 0.25}, step=20, total=20),
    Outcome(state="succeeded", exit_code=0),
)


class ObservedRun:
    """A run that a stand-in has."""

    platform: Platform
    reference: dict[str, Any]
    """As a submit keeps it."""

    def say(self, *lines: str) -> Any:
        """Lines of its log."""
        raise NotImplementedError

    def tell(self, *events: event.Event) -> Any:
        return self.say(*(event.format_event(run_event) for run_event in events))

    def status(self) -> Status:
        return self.platform.engine.status(self.reference)

    def logs(self, follow: bool = False, tail: int | None = None) -> list[str]:
        return list(self.platform.engine.logs(self.reference, follow, tail))

    def outputs(self) -> list[Output]:
        return list(self.platform.engine.outputs(self.reference))

    def record(self, outputs: OutputProfile = LEROBOT_TRAIN.profile.outputs) -> str:
        """Kept as if it had been submitted from here; its name."""
        records.write_record(
            RunRecord(
                run=RUN,
                platform=self.platform.name,
                phase="sent",
                job="0" * 64,
                plan="0" * 64,
                created=time.time(),
                workload="lerobot-train",
                settings={},
                reference=self.reference,
                outputs=outputs,
                metrics=LEROBOT_TRAIN.profile.metrics,
            )
        )
        return RUN
