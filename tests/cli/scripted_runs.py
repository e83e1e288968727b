"""Scripted runs on the platform of scripted_platform.py: recorded here, with the states and logs that a test sets."""

import json
import os
import time
from pathlib import Path
from typing import Any

from robotrain.model.run import RunRecord
from robotrain.model.workload_profile import WorkloadProfile
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Event
from robotrain_workloads.command.workload import COMMAND
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

PLUGIN = (Path(__file__).parents[1] / "scripted_platform.py").read_text()


EVALUATION = {"workload": "lerobot-eval", "makes": "results"}
"""What the record of a run says that is named eval-…."""
OWN_PROGRAM = {"workload": "command"}
"""What the record of a run says that is named command-…."""


class ScriptedRuns:
    """Makes runs; the newest is the one that was made last."""

    def __init__(self, folder: Path, install: Any) -> None:
        self.folder = folder
        self._install = install
        self._platforms: dict[str, Path] = {}

    def end(self) -> None:
        """End every run: a command that stopped to follow one still reads its log, as long as this process lives."""
        for path in self.folder.glob("*/status.json"):
            for what in ("hangs", "dawdles"):
                (path.parent / what).unlink(missing_ok=True)
            path.write_text('{"state": "cancelled"}')

    def platform(self, name: str, features: str = "{}") -> Path:
        """Install one of that name; where its plugin lies."""
        if name not in self._platforms:
            module = f"{name}_plugin"
            source = PLUGIN.replace("NAME", name).replace("features={}", f"features={features}")
            self._platforms[name] = self._install(f"robotrain-{name}", {f"platform.{name}": module}, **{module: source})
        return self._platforms[name]

    def run(
        self,
        name: str,
        *events: Event | str,
        platform: str = "scripted",
        age: float = 3600,
        called: str = "",
        login: str = "",
        **status: Any,
    ) -> "Run":
        """A run of that name, its log of lines and events, its status."""
        self.platform(platform)
        made = Run(name, self.folder / name)
        made.folder.mkdir(parents=True)
        made.status(**{"state": "running", **status})
        made.log(*events)
        record(
            name,
            platform,
            made.folder,
            time.time() - age,
            name=called,
            reference={"folder": str(made.folder), **({"login": login} if login else {})},
            **(EVALUATION if name.startswith("eval-") else {}),
            **(OWN_PROGRAM if name.startswith("command-") else {}),
        )
        return made


class Run:
    """A scripted run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    def status(self, **status: Any) -> None:
        """How it is from now on."""
        scratch = self.folder / ".status"
        scratch.write_text(json.dumps(status))
        os.replace(scratch, self.folder / "status.json")

    def log(self, *events: Event | str, file: str = "log.txt") -> None:
        """Further lines of its log, or of another file, ten seconds apart."""
        with (self.folder / file).open("a") as log:
            for at, line in enumerate(events):
                log.write((line if isinstance(line, str) else event.format_event(line, 1e9 + 10 * at)) + "\n")

    def set_flag(self, what: str, text: str = "") -> None:
        """One of the files that scripted looks for."""
        (self.folder / what).write_text(text)

    def wait_until_raised(self) -> None:
        """Return once its platform has raised for somebody."""
        while not (self.folder / "raised").exists():
            time.sleep(0.02)

    def wait_until(self, what: str, count: int) -> None:
        """Return once its status was `asked` so many times, or so many lines of its log were `read`."""
        notes = self.folder / what
        while not notes.exists() or notes.stat().st_size < count:
            time.sleep(0.02)

    def add_output(self, name: str, **fields: Any) -> None:
        """An output; of a checkpoint a folder with a file in it."""
        result = self.folder / "outputs.json"
        outputs = json.loads(result.read_text()) if result.exists() else []
        fields = {"kind": "checkpoint", "uri": f"left/{name}", "size": 5, **fields}
        result.write_text(json.dumps([*outputs, {"name": name, **fields}]))
        place = self.folder / "left" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if fields["kind"] == "checkpoint":
            place.mkdir()
            place = place / "model.safetensors"
        place.write_text("12345")


PROFILES = {workload.name: workload.profile for workload in (LEROBOT_TRAIN, LEROBOT_EVAL, COMMAND)}


def record(run: str, platform: str, folder: Path, created: float, **fields: Any) -> None:
    """The record of a run, as `submit` leaves it."""
    evaluates = run.startswith("eval") or fields.get("makes") == "results"
    workload = str(fields.get("workload") or ("lerobot-eval" if evaluates else "lerobot-train"))
    profile = PROFILES.get(workload, WorkloadProfile())
    records.write_record(
        RunRecord(
            **{
                "run": run,
                "platform": platform,
                "phase": "sent",
                "job": "j" * 64,
                "plan": "p" * 64,
                "created": created,
                "workload": "lerobot-train",
                "settings": {},
                "reference": {"folder": str(folder)},
                "outputs": profile.outputs,
                "metrics": profile.metrics,
                "host": os.uname().nodename,
                **fields,
            }
        )
    )
    claimed = records.get_run_folder(run) / "claimed"
    claimed.touch()
    os.utime(claimed, ns=(int(created * 1e9), int(created * 1e9)))
