"""Running a workflow for real: what OSMO's own processes in its pods do, in threads of this one."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from osmo_stand_in import config
from osmo_stand_in.pod import tokens
from osmo_stand_in.pod.namespace import Namespace
from osmo_stand_in.pod.room import Room, get_task_output
from osmo_stand_in.service import logs, rows
from osmo_stand_in.service.spec import parse_duration
from osmo_stand_in.state import State
from osmo_stand_in.store import Store

NOT_STARTED, PREEMPTED, CANCELLED = 3003, 3006, 3000
CHUNK = 32 * 1024
"""A line that is longer is cut, as OSMO cuts it."""
TICK = 0.1
SHORTEST_SECRET = 8


class Running:
    """The groups of a workflow, one after the other, from the start on.

    environ: beside the tasks' own. Of several tasks, each has a room of its own name.
    """

    def __init__(self, state: State, store: Store, room: Room, name: str, environ: Mapping[str, str]) -> None:
        self.state, self.store, self.room, self.name, self.environ = state, store, room, name, environ
        self.members: dict[str, TaskRun] = {}
        """The tasks of the group that runs, by name."""
        self.codes: dict[str, int] = {}
        """Exit codes of the last attempts, by task."""
        self.failure: BaseException | None = None
        self.stopped = False
        row = rows.fetch(state, name)
        self._groups = row["spec"]["groups"]
        self.tasks = [task for group in self._groups for task in group["tasks"]]
        if rows.finished(row):
            reason = next((task["failure_message"] for task in rows.latest(row) if task["failure_message"]), None)
            raise RuntimeError(f"{name} does not run: it is {row['status']}: {reason}")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for group in self._groups:
                with socket.socket() as free:
                    free.bind(("", 0))
                    host = f"localhost:{free.getsockname()[1]}"  # pods share this machine's ports
                self.members = {task["name"]: TaskRun(self, group, task, host) for task in group["tasks"]}
                threads = [threading.Thread(target=member.run, daemon=True) for member in self.members.values()]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                if self.failure is not None:
                    return
        except BaseException as error:
            self.failure = error

    def wait(self, timeout: float = 600.0) -> int:
        """The exit code of the first task that failed, or 0. Raises TimeoutError, and nothing runs then."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.stop()
            tail = logs.get_file(self.state, self.name).read_text()[-2000:]
            raise TimeoutError(f"{self.name} still runs after {timeout} s: {tail}")
        if self.failure is not None:
            raise self.failure
        return next((code for code in self.codes.values() if code), 0)

    def stop(self) -> None:
        """Nothing of it runs any more, now or later."""
        self.stopped = True
        while self._thread.is_alive():
            for member in self.members.values():
                member.kill()
            self._thread.join(TICK)

    def preempt(self) -> None:
        """Preempt the task that runs, as soon as it does."""
        while not self.members:
            time.sleep(TICK)
        next(iter(self.members.values())).preempt()


class TaskRun:
    """A task, attempt after attempt."""

    def __init__(self, whole: Running, group: Mapping[str, Any], task: Mapping[str, Any], host: str) -> None:
        self.whole, self._group, self._task, self._name = whole, group, task, task["name"]
        self.state, self.store = whole.state, whole.store
        self._hosts = {member["name"]: host for member in group["tasks"]}
        scratch = whole.room.scratch / self._name if len(whole.tasks) > 1 else whole.room.scratch
        self.room = dataclasses.replace(whole.room, scratch=scratch)
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = threading.Event()
        self._namespace = Namespace()
        self._preempted = self._restarted = False

    def run(self) -> None:
        """All attempts."""
        try:
            while self._attempt():
                pass
        except BaseException as error:
            self.whole.failure = error

    def kill(self) -> None:
        """Kill what runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._namespace.sweep()

    def preempt(self) -> None:
        """Its machine is wanted for something else: it is killed without a signal before, and the disk is gone."""
        assert self._begun.wait(60), self.whole.failure
        self._preempted = True
        self.kill()

    def restart(self) -> None:
        """Another task of its group was rescheduled: its command starts again, on the same disk."""
        self._restarted = True
        self.kill()

    def _attempt(self) -> bool:
        """One attempt. Whether there is to be another."""
        before = self._row
        if self.whole.stopped or rows.finished(before):
            self._keep_code(before["exit_code"] or (CANCELLED if before["status"] != "COMPLETED" else 0))
            return False
        self.room.clear()
        secrets = config.read(self.state)["credentials"]
        task = tokens.substituted(self._task, self.whole.name, self._hosts)
        self._set("INITIALIZING")
        for line in self.room.furnish(task, secrets, self.store, self.whole.name):
            self._say(line)
        code = self._execute(task, secrets)
        while self._restarted:
            self._restarted = False
            code = self._execute(task, secrets)
        if not self._preempted and code != NOT_STARTED:
            self._upload_outputs(task)
        return self._end(code)

    def _execute(self, task: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> int:
        environment = tokens.environment(task, secrets)
        typed = [tokens.expanded(word, environment) for word in (*task["command"], *task.get("args", []))]
        home = self.room.scratch / "home"
        image = {"PATH": self.room.path(), "HOME": str(home)}
        words, environ = self.room.words(typed, {**image, **environment, **self.whole.environ})
        home.mkdir(exist_ok=True)
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        how: dict[str, Any] = {"env": environ, "cwd": home, "start_new_session": True}
        try:
            self._process = subprocess.Popen(words, stdin=nothing, stdout=pipe, stderr=pipe, **how)
        except OSError as error:
            self._say(f"Failed to start: {error}")
            return NOT_STARTED
        self._set("RUNNING")
        self._begun.set()
        return self._follow(task, self._process)

    def _follow(self, task: Mapping[str, Any], process: "subprocess.Popen[bytes]") -> int:
        ended = threading.Event()
        helpers = [threading.Thread(target=self._read, args=(pipe,)) for pipe in (process.stdout, process.stderr)]
        copies = [
            threading.Thread(target=self._copy, args=(checkpoint, ended)) for checkpoint in task.get("checkpoint", [])
        ]
        for helper in (*helpers, *copies):
            helper.start()
        while process.poll() is None:
            self._namespace.look(process.pid)
            if self._row["status"] == "FAILED_CANCELED":
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
        """What the process prints, without the secrets of the task."""
        held = config.read(self.state)["credentials"]
        values = [value for name in self._task.get("credentials", {}) for value in held[name].values()]
        with pipe:
            for line in _read_lines(pipe):
                for value in values:
                    line = line.replace(value, "[MASKED]") if len(value) >= SHORTEST_SECRET else line
                self._say(line, control=False)

    def _copy(self, wanted: Mapping[str, Any], ended: threading.Event) -> None:
        """Copy a checkpoint folder every so often, and once at the end; not when the pod was taken away."""
        while not ended.wait(parse_duration(wanted["frequency"]).total_seconds()):
            self._upload(wanted)
        if not self._preempted:
            self._upload(wanted)

    def _upload(self, wanted: Mapping[str, Any]) -> None:
        url, path = wanted["url"], wanted["path"]
        self._say(f"Checkpointing data from {path} to {url}...")
        whole, star = path.removesuffix("/*"), "/*" if path.endswith("/*") else ""
        for failed in self.store.upload(url, f"{self.room.at(whole)}{star}", wanted.get("regex")):
            self._say(failed)

    def _upload_outputs(self, task: Mapping[str, Any]) -> None:
        whole = f"{self.room.at(tokens.OUTPUT)}/*"
        read = {task_input.get("task") for other in self.whole.tasks for task_input in other.get("inputs", [])}
        if not task.get("outputs") or self._name in read:
            self.store.upload(get_task_output(self.whole.name, self._name), whole)
        for output in task.get("outputs", []):
            url = output.get("url") or self.store.dataset(output["dataset"]["name"])
            self.store.upload(url, whole, output.get("regex"))
        self._say("All Outputs Uploaded")

    def _end(self, code: int) -> bool:
        """Note how an attempt ended. Whether there is to be another."""
        attempt = self._row
        if self.whole.stopped or rows.finished(attempt):
            # A node that its group ended, because the lead's work was done, did not fail.
            self._keep_code(0 if attempt["status"] == "COMPLETED" else code)
            return False
        status, result = "FAILED" if code else "COMPLETED", f"Exit code: {code}. " if code else ""
        if code == NOT_STARTED:
            status, result = "FAILED_START_ERROR", "The container could not be started. "
        if self._preempted:
            self.room.clear()
            code, status, result = PREEMPTED, "FAILED_PREEMPTED", "Pod was preempted. "
        action = _find_action(code, self._task.get("exitActions", {}))
        most = config.read(self.state)["max_retry_per_task"]
        again = action == "RESCHEDULE" and attempt["retry_id"] < most
        if action == "RESCHEDULE" and not again:
            result += f"No exit action applied due to retry limit {most}."
        elif action:
            status = {"COMPLETE": "COMPLETED", "FAIL": "FAILED"}.get(action, "RESCHEDULED")
            result += f"Exit Action: {action} the task for exit code {code}."
        self._preempted, self._process = False, None
        self._begun.clear()
        self._set(status, code, result or None, again)
        self._keep_code(code)
        self._end_group(status, again)
        return again

    def _end_group(self, status: str, again: bool) -> None:
        """Let the others of the group start again, or end with this one."""
        is_lead = self._task.get("lead", False)
        if not is_lead and self._group.get("ignoreNonleadStatus", True):
            return
        others = {name: member for name, member in self.whole.members.items() if member is not self}
        if again:
            for member in others.values():
                member.restart()
        elif is_lead or status != "COMPLETED":
            word = "COMPLETED" if status == "COMPLETED" else "FAILED"
            message = "Lead task finished" if is_lead else f"Task {self._name} Failed."

            def change(row: rows.Row) -> None:
                for task in rows.latest(row):
                    if task["name"] in others and not rows.finished(task):
                        task.update(status=word, failure_message=message, end_time=rows.now())
                rows.settle(row)

            rows.change(self.state, self.whole.name, change)
            for member in others.values():
                member.kill()

    def _keep_code(self, code: int) -> None:
        self.whole.codes[self._name] = code

    @property
    def _row(self) -> rows.Row:
        """The last attempt."""
        return self._choose(rows.fetch(self.state, self.whole.name))

    def _choose(self, row: rows.Row) -> rows.Row:
        return next(task for task in rows.latest(row) if task["name"] == self._name)

    def _say(self, text: str, control: bool = True) -> None:
        source = logs.format_source(self._name, int(self._row["retry_id"]), control)
        logs.add(self.state, self.whole.name, text, source)

    def _set(self, status: str, code: int | None = None, told: str | None = None, again: bool = False) -> None:
        def change(row: rows.Row) -> None:
            attempt = self._choose(row)
            if rows.finished(attempt):  # cancelled meanwhile
                return
            attempt.update(status=status, exit_code=code, failure_message=told)
            rows.set_times(attempt)
            if again:
                group = next(group for group in row["groups"] if attempt in group["tasks"])
                group["tasks"].append(rows.make_task_row(self._task, int(attempt["retry_id"]) + 1))
            rows.settle(row)

        rows.change(self.state, self.whole.name, change)


def _find_action(code: int, actions: Mapping[str, str]) -> str:
    """What is to be done about an exit code; empty when nobody says so."""
    for action, codes in actions.items():
        for first, _, last in (part.partition("-") for part in codes.split(",")):
            if int(first) <= code <= int(last or first):
                return action.upper()
    return ""


def _read_lines(pipe: IO[bytes]) -> Iterator[str]:
    """Lines without their ends, a long one in pieces, as they come."""
    held = b""
    while fresh := os.read(pipe.fileno(), CHUNK):
        *whole, held = (held + fresh).split(b"\n")
        if len(held) > CHUNK:
            whole, held = [*whole, held], b""
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if held:
        yield held.decode(errors="replace")
