"""Running a task for real: what OSMO's own processes in its pod do, in threads of this one."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import IO, Any

from osmo_stand_in import config
from osmo_stand_in.datasets import Datasets
from osmo_stand_in.pod import tokens
from osmo_stand_in.pod.namespace import Namespace
from osmo_stand_in.pod.room import Room, task_output
from osmo_stand_in.service import journal, rows, rules
from osmo_stand_in.state import State
from osmo_stand_in.store import Store

NOT_STARTED, PREEMPTED, CANCELLED = 3003, 3006, 3000
CHUNK = 32 * 1024
"""A line that is longer is cut, as OSMO cuts it."""
TICK = 0.1
SHORTEST_SECRET = 8


class Running:
    """The groups of a workflow, one after the other, each task attempt after attempt, from the start on.

    environ: beside the tasks' own. Of several tasks, each has a room of its own name.
    """

    hosts: Mapping[str, str] = MappingProxyType({})
    """Of the tasks of a group, by name."""

    def __init__(self, state: State, store: Store, room: Room, name: str, environ: Mapping[str, str]) -> None:
        self.state, self.store, self.room, self.name, self.environ = state, store, room, name, environ
        self.codes: dict[str, int] = {}
        """Exit codes of the last attempts, by task."""
        self.failure: BaseException | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = threading.Event()
        self._namespace = Namespace()
        self._preempted = self._stopped = self._restarted = False
        self.members: dict[str, Running] = {}
        """Those that run the tasks of a group of several, by name."""
        row = rows.fetch(state, name)
        self._groups = [group for group in row["spec"]["groups"]]
        self._tasks = [task for group in self._groups for task in group["tasks"]]
        self._task = self._choose_first()
        if rows.finished(row):
            raise RuntimeError(
                f"{name} does not run: it is {row['status']}: {self._attempt_row(row)['failure_message']}"
            )
        self._thread = threading.Thread(target=self._attempts, daemon=True)
        self._thread.start()

    def _choose_first(self) -> Mapping[str, Any]:
        first: Mapping[str, Any] = self._tasks[0]
        return first

    @property
    def pid(self) -> int:
        """Of the running attempt. Waits for it to begin."""
        self._begun.wait(60)
        assert self._process is not None, self.failure
        return self._process.pid

    def wait(self, timeout: float = 600.0) -> int:
        """The exit code of the first task that failed, or 0. Raises TimeoutError, and nothing runs then."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.stop()
            raise TimeoutError(f"{self.name} still runs after {timeout} s: {self._log()}")
        if self.failure is not None:
            raise self.failure
        return next((code for code in self.codes.values() if code), 0)

    def kill(self) -> None:
        """Kill what runs."""
        for member in self.members.values():
            member.kill()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._namespace.sweep()

    def stop(self) -> None:
        """Nothing of it runs any more, now or later."""
        self._stopped = True
        for member in list(self.members.values()):
            member.stop()
        while self._thread.is_alive():
            self.kill()
            self._thread.join(TICK)

    def preempt(self) -> None:
        """Its machine is wanted for something else: it is killed without a signal before, and the disk is gone."""
        assert self.pid
        self._preempted = True
        self.kill()

    def restart(self) -> None:
        """Another task of its group was rescheduled: its command starts again, on the same disk."""
        self._restarted = True
        self.kill()

    def _log(self) -> str:
        return journal.file(self.state, self.name).read_text()[-2000:]

    def _attempts(self) -> None:
        base = self.room
        try:
            for group in self._groups:
                rooms = {one["name"]: base for one in group["tasks"]}
                if len(self._tasks) > 1:
                    rooms = {name: dataclasses.replace(base, scratch=base.scratch / name) for name in rooms}
                if len(rooms) > 1:
                    self._run_together(group, rooms)
                    continue
                (self._task,) = group["tasks"]
                self.room = rooms[self._task["name"]]
                while self._attempt():
                    pass
        except BaseException as error:
            self.failure = error

    def _run_together(self, group: Mapping[str, Any], rooms: Mapping[str, Room]) -> None:
        from osmo_stand_in.pod.group import run_group

        self.codes |= run_group(self, group, rooms)

    def _attempt(self) -> bool:
        """One attempt. Whether there is to be another."""
        before = self._attempt_row(rows.fetch(self.state, self.name))
        if self._stopped or rows.finished(before):
            self._keep_code(before["exit_code"] or (CANCELLED if before["status"] != "COMPLETED" else 0))
            return False
        self.room.clear()
        there = config.read(self.state)
        task = tokens.substituted(self._task, self.name, self.hosts)
        self._set("INITIALIZING")
        self._say("Downloading Start")
        for line in self.room.furnish(task, there["credentials"], self.store, self.name):
            self._say(line)
        code = self._execute(task, there["credentials"])
        while self._restarted:
            self._restarted = False
            code = self._execute(task, there["credentials"])
        if not self._preempted and code != NOT_STARTED:
            self._upload_outputs(task)
        return self._end(code, there)

    def _execute(self, task: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> int:
        environment = tokens.environment(task, secrets)
        typed = [tokens.expanded(word, environment) for word in (*task["command"], *task.get("args", []))]
        image = {"PATH": self.room.path(), "HOME": str(self.room.scratch / "home")}
        words, environ = self.room.words(typed, {**image, **environment, **self.environ})
        (self.room.scratch / "home").mkdir(exist_ok=True)
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
                cwd=self.room.scratch / "home",
                start_new_session=True,
            )
        except OSError as error:
            self._say(f"Failed to start: {error}")
            return NOT_STARTED
        self._set("RUNNING")
        self._begun.set()
        return self._follow(task, self._process)

    def _follow(self, task: Mapping[str, Any], process: "subprocess.Popen[bytes]") -> int:
        assert process.stdout is not None
        assert process.stderr is not None
        ended = threading.Event()
        helpers = [threading.Thread(target=self._read, args=(pipe,)) for pipe in (process.stdout, process.stderr)]
        copies = [threading.Thread(target=self._copy, args=(one, ended)) for one in task.get("checkpoint", [])]
        for helper in (*helpers, *copies):
            helper.start()
        while process.poll() is None:
            self._namespace.look(process.pid)
            if self._attempt_row(rows.fetch(self.state, self.name))["status"] == "FAILED_CANCELED":
                self.kill()
            time.sleep(TICK)
        self._namespace.end()
        for helper in helpers:
            helper.join()
        ended.set()
        for copy in copies:
            copy.join()
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in _lines(pipe):
                journal.add(self.state, self.name, self._masked(line), self._task["name"], self._retry)

    def _masked(self, line: str) -> str:
        """Without the secrets of the task."""
        held = config.read(self.state)["credentials"]
        for value in (value for name in self._task.get("credentials", {}) for value in held[name].values()):
            line = line.replace(value, "[MASKED]") if len(value) >= SHORTEST_SECRET else line
        return line

    def _copy(self, wanted: Mapping[str, Any], ended: threading.Event) -> None:
        """Copy a checkpoint folder every so often, and once at the end; not when the pod was taken away."""
        every, path = rules.duration(wanted["frequency"]).total_seconds(), wanted["path"]
        while not ended.wait(every):
            self._upload(wanted["url"], path, wanted.get("regex"))
        if not self._preempted:
            self._upload(wanted["url"], path, wanted.get("regex"))
            self._say(f"Checkpointing data from {path} to {wanted['url']} finished")

    def _upload(self, url: str, path: str, regex: str | None) -> None:
        self._say(f"Checkpointing data from {path} to {url}...")
        whole, star = path.removesuffix("/*"), "/*" if path.endswith("/*") else ""
        for failed in self.store.upload(url, f"{self.room.at(whole)}{star}", regex):
            self._say(failed)

    def _upload_outputs(self, task: Mapping[str, Any]) -> None:
        self._say("Upload Start")
        whole = f"{self.room.at(tokens.OUTPUT)}/*"
        if not task.get("outputs") or self._has_dependants():
            self.store.upload(task_output(self.name, task["name"]), whole)
        for output in task.get("outputs", []):
            if "dataset" in output:
                Datasets(self.store).upload(output["dataset"]["name"], whole)
                self._say(f"Uploaded {output['dataset']['name']}")
                continue
            self.store.upload(output["url"], whole, output.get("regex"))
            self._say(f"Uploaded {output['url']}")
        self._say("All Outputs Uploaded")

    def _end(self, code: int, there: Mapping[str, Any]) -> bool:
        row = rows.fetch(self.state, self.name)
        attempt = self._attempt_row(row)
        if self._stopped or rows.finished(attempt):
            # A node that its group ended, because the lead's work was done, did not fail.
            self._keep_code(0 if attempt["status"] == "COMPLETED" else code)
            return False
        code, status, result = self._outcome(code)
        action = _find_action(code, self._task.get("exitActions", {}))
        most = there["limits"]["max_retry_per_task"]
        again = action == "RESCHEDULE" and self._retry < most
        if action == "RESCHEDULE" and not again:
            result += f"No exit action applied due to retry limit {most}."
        elif action:
            status = {"COMPLETE": "COMPLETED", "FAIL": "FAILED"}.get(action, "RESCHEDULED")
            result += f"Exit Action: {action} the task for exit code {code}."
        if self._preempted:
            self.room.clear()
        self._preempted, self._process = False, None
        self._begun.clear()
        self._set(status, code, result or None, again)
        self._keep_code(code)
        self._announce_end(status, again)
        return again

    def _announce_end(self, status: str, again: bool) -> None:
        """Tell the group how an attempt ended."""

    def _keep_code(self, code: int) -> None:
        self.codes[self._task["name"]] = code

    def _has_dependants(self) -> bool:
        wanted = [one.get("task") for task in self._tasks for one in task.get("inputs", [])]
        return self._task["name"] in wanted

    def _attempt_row(self, row: rows.Row) -> rows.Row:
        """The last attempt of the task that runs."""
        return next(one for one in rows.latest(row) if one["name"] == self._task["name"])

    def _outcome(self, code: int) -> tuple[int, str, str]:
        if self._preempted:
            return PREEMPTED, "FAILED_PREEMPTED", "Pod was preempted. "
        if code == NOT_STARTED:
            return code, "FAILED_START_ERROR", "The container could not be started. "
        return code, "FAILED" if code else "COMPLETED", f"Exit code: {code}. " if code else ""

    @property
    def _retry(self) -> int:
        return int(self._attempt_row(rows.fetch(self.state, self.name))["retry_id"])

    def _say(self, text: str) -> None:
        journal.add(self.state, self.name, text, self._task["name"], self._retry, control=True)

    def _set(self, status: str, code: int | None = None, told: str | None = None, again: bool = False) -> None:
        def change(row: rows.Row) -> None:
            attempt = self._attempt_row(row)
            if rows.finished(attempt):  # cancelled meanwhile
                return
            attempt.update(status=status, exit_code=code, failure_message=told)
            if status == "RUNNING":
                attempt["start_time"] = rows.now()
            if status not in rows.UNFINISHED:
                attempt["end_time"] = rows.now()
            if again:
                group = next(one for one in row["groups"] if attempt in one["tasks"])
                group["tasks"].append(rows.task_row(self._task, int(attempt["retry_id"]) + 1))
            rows.settle(row)

        rows.change(self.state, self.name, change)


def _find_action(code: int, actions: Mapping[str, str]) -> str:
    """What is to be done about an exit code; empty when nobody says so."""
    for action, codes in actions.items():
        for part in codes.split(","):
            first, _, last = part.partition("-")
            if int(first) <= code <= int(last or first):
                return action.upper()
    return ""


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """Lines without their ends, a long one in pieces, as they come."""
    held = b""
    while fresh := os.read(pipe.fileno(), CHUNK):
        *whole, held = (held + fresh).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
        if len(held) > CHUNK:
            yield held.decode(errors="replace")
            held = b""
    if held:
        yield held.decode(errors="replace")
