"""The tasks of a group, which run together: how one that ends ends the others, or lets them start again."""

import socket
import threading
from collections.abc import Mapping
from typing import Any

from osmo_stand_in.pod import Running
from osmo_stand_in.pod.room import Room
from osmo_stand_in.service import rows


def run_group(whole: Running, group: Mapping[str, Any], rooms: Mapping[str, Room]) -> dict[str, int]:
    """Run the tasks of a group to their end; return their exit codes."""
    with socket.socket() as free:
        free.bind(("", 0))
        host = f"localhost:{free.getsockname()[1]}"  # pods share this machine's ports
    ends = GroupEnds(whole, group)
    for task in group["tasks"]:
        whole.members[task["name"]] = Member(whole, task, rooms[task["name"]], ends, host)
    codes: dict[str, int] = {}
    for member in list(whole.members.values()):
        while member.is_alive():
            member.join()
        if member.failure is not None:
            raise member.failure
        codes |= member.codes
    whole.members.clear()
    return codes


class Member(Running):
    """A task of a group."""

    def __init__(self, whole: Running, task: Mapping[str, Any], room: Room, ends: "GroupEnds", host: str) -> None:
        self._own, self._ends = task, ends
        self.hosts = {one["name"]: host for one in ends.tasks}
        super().__init__(whole.state, whole.store, room, whole.name, whole.environ)

    def _choose_first(self) -> Mapping[str, Any]:
        return self._own

    def _attempts(self) -> None:
        try:
            while self._attempt():
                pass
        except BaseException as error:
            self.failure = error

    def _announce_end(self, status: str, again: bool) -> None:
        self._ends.handle(self._own, status, again)

    def is_alive(self) -> bool:
        """Whether it runs, or will again."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait a little for its end."""
        self._thread.join(1.0)


class GroupEnds:
    """What becomes of a group when one of its tasks ends."""

    def __init__(self, whole: Running, group: Mapping[str, Any]) -> None:
        self.tasks = group["tasks"]
        self._whole, self._lock = whole, threading.Lock()
        self._ignores_others = group.get("ignoreNonleadStatus", True)

    def handle(self, task: Mapping[str, Any], status: str, again: bool) -> None:
        """End or restart the others."""
        is_lead = task.get("lead", False)
        if not is_lead and self._ignores_others:
            return
        others = [member for name, member in self._whole.members.items() if name != task["name"]]
        if again:
            for member in others:
                member.restart()
        elif is_lead:
            self._end("COMPLETED" if status == "COMPLETED" else "FAILED", "Lead task finished")
        elif status != "COMPLETED":
            self._end("FAILED", f"Task {task['name']} Failed.")
        else:
            return
        if not again:
            for member in others:
                member.kill()

    def _end(self, status: str, message: str) -> None:
        names = {task["name"] for task in self.tasks}

        def change(row: rows.Row) -> None:
            for one in rows.latest(row):
                if one["name"] in names and not rows.finished(one):
                    one.update(status=status, failure_message=message, end_time=rows.now())
            rows.settle(row)

        with self._lock:
            rows.change(self._whole.state, self._whole.name, change)
