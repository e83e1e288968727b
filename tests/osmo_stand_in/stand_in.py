"""The stand-in for OSMO, as tests use it."""

import contextlib
import datetime
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osmo_stand_in import config, fault, quick_command
from osmo_stand_in.cli import session
from osmo_stand_in.service import Service, journal, rows
from osmo_stand_in.state import State
from osmo_stand_in.store import Store

if TYPE_CHECKING:
    from osmo_stand_in.pod import Running


class Table:
    """A part of the set-up that is a table. Kept on disk: to change an entry, assign it anew."""

    def __init__(self, state: State, name: str) -> None:
        self._state, self._name = state, name

    def __getitem__(self, key: str) -> Any:
        return self._there[key]

    def __setitem__(self, key: str, value: Any) -> None:
        config.change(self._state, **{self._name: {**self._there, key: value}})

    def __delitem__(self, key: str) -> None:
        there = self._there
        del there[key]
        config.change(self._state, **{self._name: there})

    @property
    def _there(self) -> dict[str, Any]:
        there: dict[str, Any] = config.read(self._state)[self._name]
        return there


@dataclass(frozen=True)
class Workflow:
    """A workflow that was submitted. spec: as it was taken, after rendering. text: what was posted last."""

    name: str
    """That of the run: without the number of the id."""
    pool: str
    status: str
    priority: str
    spec: dict[str, Any]
    tasks: list[dict[str, Any]]
    """The last attempt of each."""
    text: str

    @property
    def task(self) -> dict[str, Any]:
        """What its one task says in the specification; with the `resources` that it got."""
        (group,) = self.spec["groups"]
        (task,) = group["tasks"]
        return dict(task)


class OsmoStandIn:
    """An `osmo` in a folder, with a service, a store and pods of its own. See the package's own words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder / "state")
        self.store = Store(folder / "store")
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
        """Someone signed in, for a day."""
        session.sign_in(self.settings, config.read(self.state)["user"])

    def logout(self) -> None:
        """Nobody is signed in."""
        session.sign_out(self.settings)

    def expire(self) -> None:
        """Someone signed in too long ago."""
        session.sign_in(self.settings, config.read(self.state)["user"], seconds=-3600)

    def corrupt(self) -> None:
        """The file of the sign-in is damaged."""
        session.keep(self.settings, "no token")

    def versions(self, client: str = "", service: str = "") -> None:
        """As `6.3.1`. What is left out stays."""
        given = {"client": client, "service": service}
        config.change(self.state, **{name: value for name, value in given.items() if value})

    def profile(self, pool: str | None) -> None:
        """The user's default pool."""
        config.change(self.state, profile_pool=pool)

    def buckets(self, *names: str) -> None:
        """Those that the service is configured with: none, as it is shipped."""
        config.change(self.state, buckets=list(names))

    def administrator(self, is_one: bool = True) -> None:
        """Whether the user has the role `osmo-admin` beside `osmo-user`, and sees the configuration."""
        config.change(self.state, administrator=is_one)

    def limits(self, **limits: Any) -> None:
        """Of the service: see `config.DEFAULT`."""
        config.change(self.state, limits={**config.read(self.state)["limits"], **limits})

    def cancelling(self, how: str) -> None:
        """`at-once`, `slow` (a test sets the status, or `cancel -f`) or `refused`."""
        config.change(self.state, cancelling=how)

    @property
    def cancels(self) -> list[str]:
        """The ids that were cancelled, in order."""
        return list(self.state.read("cancels", []))

    def data_access(self, allowed: bool = True, denied: str = "") -> None:
        """Whether this machine has an identity for stores; denied: in whose words they refuse it."""
        config.change(self.state, data_access=allowed, data_denied=denied)

    def fail(self, on: str, form: fault.Form, **how: Any) -> None:
        """From now on, calls that begin so meet this: see `fault.Fault`."""
        fault.add(self.state, fault.Fault(on, form, **how))

    def ask(self, method: str, path: str, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Ask the service directly, in this process: an `Answer`."""
        return Service(self.state).ask(method, path, params, body)

    @property
    def workflows(self) -> dict[str, Workflow]:
        """By id, in the order of submission; failed submissions too."""
        return {
            row["name"]: Workflow(
                name=row["workflow_name"],
                **{name: row[name] for name in ("pool", "status", "priority", "spec")},
                tasks=rows.latest(row),
                text=self.state.read(f"texts/{row['name']}", {}).get("posted", ""),
            )
            for row in rows.every(self.state)
        }

    def remove(self, name: str) -> None:
        """Remove a workflow, as the service does with old ones."""
        self.state.change("order", lambda order: [one for one in order if one != name], [])

    def set_state(
        self,
        name: str,
        *,
        status: str | None = None,
        task_status: str | None = None,
        exit_code: int | None = None,
        message: str | None = None,
        started: datetime.datetime | str | None = None,
        ended: datetime.datetime | str | None = None,
        node: str | None = None,
        task: str | None = None,
    ) -> None:
        """Let its tasks be so, and the workflow with them; status: of the workflow, whatever its tasks are.

        task: only the one of this name.
        """

        def change(row: rows.Row) -> None:
            for one in rows.latest(row):
                if task in (None, one["name"]):
                    _set_task(one, task_status, exit_code, message, started, ended, node)
            if task_status:
                rows.settle(row)
            row["start_time"], row["end_time"] = _text(started) or row["start_time"], _text(ended) or row["end_time"]
            if status:
                row["status"] = status
                _set_times(row, status)

        rows.change(self.state, name, change)

    def retry(self, name: str, exit_code: int | None = None, message: str | None = None) -> None:
        """Its tasks that began are rescheduled: the attempt ends, and the next one waits, under the same id."""

        def change(row: rows.Row) -> None:
            specs = {task["name"]: task for group in row["spec"]["groups"] for task in group["tasks"]}
            for group in row["groups"]:
                for task in rows.latest({"groups": [group]} if group["status"] != "WAITING" else {"groups": []}):
                    _set_task(task, "RESCHEDULED", exit_code, message, None, None, None)
                    group["tasks"].append(rows.task_row(specs[task["name"]], int(task["retry_id"]) + 1))
            rows.settle(row)

        rows.change(self.state, name, change)

    def say(self, name: str, *lines: str, task: str | None = None, control: bool = False) -> None:
        """Its (first) task prints this; control: OSMO does."""
        last = rows.latest(rows.fetch(self.state, name))
        which = next(one for one in last if task in (None, one["name"]))
        for line in lines:
            journal.add(self.state, name, line, which["name"], int(which["retry_id"]), control)

    def event(self, name: str, text: str) -> None:
        """A line of its events."""
        task = rows.latest(rows.fetch(self.state, name))[0]["name"]
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
        self.state.append(f"events/{name}.log", f"{date} [{task}] {text}\n")

    def put(self, url: str, files: Mapping[str, bytes]) -> None:
        """Objects below a URL."""
        self.store.put(url, files)

    def objects(self, url: str) -> dict[str, bytes]:
        """What lies below a URL."""
        return self.store.objects(url)

    def start(
        self,
        name: str,
        environ: Mapping[str, str] | None = None,
        own: Sequence[str] = ("/tmp/robotrain",),
        mounts: Mapping[str, str] | None = None,
    ) -> "Running":
        """Run its tasks for real, from now on, one after the other. environ: beside each task's own environment.

        own: folders that its container has for itself, gone with each attempt. mounts: folders of this machine, by
        where they are in the container.
        """
        from osmo_stand_in.pod import Running
        from osmo_stand_in.pod.room import Room

        room = Room(self.pod(name), own, mounts or {})
        self._running[name] = Running(self.state, self.store, room, name, environ or {})
        return self._running[name]

    def run(self, name: str, environ: Mapping[str, str] | None = None, timeout: float = 600.0, **room: Any) -> int:
        """Run its tasks for real, to the end. The exit code of the first that failed, or 0."""
        return self.start(name, environ, **room).wait(timeout)

    def reschedule(self, name: str) -> None:
        """What runs is preempted: see `Running.preempt`. It goes on when its exit actions and the limits say so."""
        self._running[name].preempt()

    def stop(self) -> None:
        """Nothing runs any more."""
        for running in self._running.values():
            running.stop()

    def pod(self, name: str, task: str = "") -> Path:
        """What is left of the last attempt: its container's paths lie below `disk`. task: of several."""
        return self.folder / "pods" / name / task


def _text(when: datetime.datetime | str | None) -> str | None:
    return when.isoformat() if isinstance(when, datetime.datetime) else when


def _set_task(
    task: rows.Row,
    status: str | None,
    exit_code: int | None,
    message: str | None,
    started: datetime.datetime | str | None,
    ended: datetime.datetime | str | None,
    node: str | None,
) -> None:
    given = {"status": status, "exit_code": exit_code, "failure_message": message, "node_name": node}
    times = {"start_time": _text(started), "end_time": _text(ended)}
    task.update({key: value for key, value in (given | times).items() if value is not None})
    _set_times(task, task["status"])


def _set_times(row: rows.Row, status: str) -> None:
    if status == "RUNNING":
        row["start_time"] = row["start_time"] or rows.now()
    elif status not in (*rows.ALIVE, *rows.UNFINISHED):
        row["end_time"] = row["end_time"] or rows.now()
