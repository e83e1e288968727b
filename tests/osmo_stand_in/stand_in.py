"""The stand-in for OSMO, as tests use it."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osmo_stand_in import config, quick_command
from osmo_stand_in.command import LOGIN_FILE
from osmo_stand_in.pod import Running
from osmo_stand_in.pod.room import Room
from osmo_stand_in.service import logs, rows, submission
from osmo_stand_in.state import State
from osmo_stand_in.store import Store


class Table:
    """A part of the set-up that is a table. Kept on disk: to change an entry, assign it anew."""

    def __init__(self, state: State, name: str) -> None:
        self._state, self._name = state, name

    def __getitem__(self, key: str) -> Any:
        return config.read(self._state)[self._name][key]

    def __setitem__(self, key: str, value: Any) -> None:
        with self._state.alone():
            config.change(self._state, **{self._name: {**config.read(self._state)[self._name], key: value}})


@dataclass(frozen=True)
class Workflow:
    """A workflow that was submitted. spec: as it was taken, after rendering."""

    name: str
    """That of the run: without the number of the id."""
    pool: str
    status: str
    priority: str
    spec: dict[str, Any]
    tasks: list[dict[str, Any]]
    """The last attempt of each."""

    @property
    def task(self) -> dict[str, Any]:
        """What its task says in the specification; of several nodes, the first one's."""
        (group,) = self.spec["groups"]
        return dict(group["tasks"][0])


class OsmoStandIn:
    """An `osmo` in a folder, with a service, a store and pods of its own. See the package's own words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder / "state")
        self.store = Store(folder / "store")
        self.put, self.objects = self.store.put, self.store.objects
        self.command = folder / "bin" / "osmo"
        self.settings = folder / "settings"
        self.pools = Table(self.state, "pools")
        self.credentials = Table(self.state, "credentials")
        self._running: dict[str, Running] = {}
        self.command.parent.mkdir(parents=True, exist_ok=True)
        self.command.write_text(quick_command.script(folder))
        self.command.chmod(0o755)
        config.change(self.state)
        self.login()

    @property
    def environ(self) -> dict[str, str]:
        """What leads a program here."""
        return {
            "PATH": f"{self.command.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "OSMO_CONFIG_FILE_DIR": str(self.settings),
            "OSMO_LOG_FILE_DIR": str(self.folder / "client-logs"),
        }

    @property
    def calls(self) -> list[list[str]]:
        """The words of every call, without the command itself."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in (self.state.folder / "calls.jsonl").read_text().splitlines()]
        return []

    def forget(self) -> None:
        """Forget the calls."""
        (self.state.folder / "calls.jsonl").unlink(missing_ok=True)

    def login(self) -> None:
        """Someone signed in."""
        self.settings.mkdir(parents=True, exist_ok=True)
        (self.settings / LOGIN_FILE).write_text("{}")

    def logout(self) -> None:
        """Nobody is signed in."""
        (self.settings / LOGIN_FILE).unlink()

    def configure(self, **values: Any) -> None:
        """Change the set-up: see `config.DEFAULT`.

        cancelling: `at-once`, `slow` (a test sets the status) or `refused`. data_access: whether this machine has an
        identity for stores.
        """
        config.change(self.state, **values)

    @property
    def cancels(self) -> list[str]:
        """The ids that were cancelled, in order."""
        return list(self.state.read("cancels", []))

    def fail(self, on: str, form: str, **how: Any) -> None:
        """From now on, calls that begin so meet this: see `config.Fault`."""
        with self.state.alone():
            faults = config.read(self.state)["faults"]
            config.change(self.state, faults=[*faults, asdict(config.Fault(on, form, **how))])

    def submit(self, text: str, *variables: str) -> str:
        """Submit a workflow's text to the pool `default`, without the command; return its id. Raises Refusal."""
        return str(submission.submit(self.state, "default", text, variables=variables)["name"])

    @property
    def workflows(self) -> dict[str, Workflow]:
        """By id, in the order of submission; failed submissions too."""
        return {
            row["name"]: Workflow(
                row["workflow_name"], row["pool"], row["status"], row["priority"], row["spec"], rows.latest(row)
            )
            for row in rows.every(self.state)
        }

    def remove(self, name: str) -> None:
        """Remove a workflow, as the service does with old ones."""
        self.state.change("order", lambda order: [workflow for workflow in order if workflow != name], [])

    def set_state(
        self,
        name: str,
        *,
        status: str | None = None,
        task: str | None = None,
        task_status: str | None = None,
        exit_code: int | None = None,
        started: str | None = None,
    ) -> None:
        """Let its tasks be so, and the workflow with them; status: of the workflow, whatever its tasks are.

        task: only the one of this name.
        """
        changes = {"status": task_status, "exit_code": exit_code, "start_time": started}

        def change(row: rows.Row) -> None:
            for latest_task in rows.latest(row):
                if task in (None, latest_task["name"]):
                    latest_task.update({key: value for key, value in changes.items() if value is not None})
                    rows.set_times(latest_task)
            if task_status:
                rows.settle(row)
            row["start_time"], row["status"] = started or row["start_time"], status or row["status"]
            rows.set_times(row)

        rows.change(self.state, name, change)

    def retry(self, name: str, exit_code: int | None = None) -> None:
        """Its tasks that began are rescheduled: the attempt ends, and the next one waits, under the same id."""

        def change(row: rows.Row) -> None:
            specs = {task["name"]: task for group in row["spec"]["groups"] for task in group["tasks"]}
            for group in (group for group in row["groups"] if group["status"] != "WAITING"):
                for task in rows.latest({"groups": [group]}):
                    task.update(status="RESCHEDULED", exit_code=exit_code)
                    rows.set_times(task)
                    group["tasks"].append(rows.make_task_row(specs[task["name"]], int(task["retry_id"]) + 1))
            rows.settle(row)

        rows.change(self.state, name, change)

    def say(self, name: str, *lines: str, task: str | None = None, control: bool = False) -> None:
        """Its (first) task prints this; control: OSMO does."""
        last = rows.latest(rows.fetch(self.state, name))
        which = next(latest_task for latest_task in last if task in (None, latest_task["name"]))
        source = logs.format_source(which["name"], int(which["retry_id"]), control)
        for line in lines:
            logs.add(self.state, name, line, source)

    def event(self, name: str, text: str) -> None:
        """A line of its events."""
        task = rows.latest(rows.fetch(self.state, name))[0]["name"]
        logs.add(self.state, name, text, logs.format_source(task), "events")

    def start(self, name: str, environ: Mapping[str, str] | None = None) -> Running:
        """Run its tasks for real, from now on, one after the other. environ: beside each task's own environment."""
        room = Room(self.pod(name), own=("/tmp/robotrain",))
        self._running[name] = Running(self.state, self.store, room, name, environ or {})
        return self._running[name]

    def run(self, name: str, environ: Mapping[str, str] | None = None, timeout: float = 600.0) -> int:
        """Run its tasks for real, to the end. The exit code of the first that failed, or 0."""
        return self.start(name, environ).wait(timeout)

    def reschedule(self, name: str) -> None:
        """What runs is preempted: see `Running.preempt`. It goes on when its exit actions and the limits say so."""
        self._running[name].preempt()

    def stop(self) -> None:
        """Nothing runs any more."""
        for running in self._running.values():
            running.stop()

    def pod(self, name: str) -> Path:
        """What is left of the last attempts: a container's paths lie below `disk`; of several tasks, each by name."""
        return self.folder / "pods" / name
