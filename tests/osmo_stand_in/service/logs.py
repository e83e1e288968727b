"""The log lines of tasks, and their events, as OSMO stores them."""

import datetime
import re
import time
from collections.abc import Iterator
from pathlib import Path

from osmo_stand_in.service import rows
from osmo_stand_in.service.refusal import Refusal
from osmo_stand_in.state import State

PAUSE = 0.1


def get_file(state: State, workflow: str, kind: str = "logs") -> Path:
    """Where the lines are. kind: `logs` or `events`."""
    return state.folder / kind / f"{workflow}.log"


def add(state: State, workflow: str, text: str, source: str, kind: str = "logs") -> None:
    """Lines of a source: a task, perhaps with its retry, perhaps of OSMO itself."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
    text = "".join(f"{date} {source} {line}\n" for line in text.split("\n"))
    state.append(f"{kind}/{workflow}.log", text)


def format_source(task: str, retry: int = 0, control: bool = False) -> str:
    """As lines begin. control: those that OSMO writes itself."""
    return f"[{task}{f' retry-{retry}' if retry else ''}]{'[osmo]' if control else ''}"


def stream(state: State, workflow: str, kind: str, task: str | None, last: int | None) -> Iterator[str]:
    """The lines, to the workflow's end, however long that takes. Raises Refusal before the first."""
    retries = {task_row["name"]: int(task_row["retry_id"]) for task_row in rows.latest(rows.fetch(state, workflow))}
    if task and task not in retries:
        raise Refusal("DATABASE", f"Task {task} of workflow {workflow} is not found.")
    wanted = re.escape(format_source(task, retries[task])) if task else ""
    pattern = re.compile(rf"^[^ ]+ [^ ]+ {wanted}")
    most = 1000 if task else 10000
    return _follow(state, workflow, get_file(state, workflow, kind), pattern, min(last or most, most))


def _follow(state: State, workflow: str, file: Path, pattern: "re.Pattern[str]", most: int) -> Iterator[str]:
    lines, position = _read_lines(file, 0)
    yield from [line for line in lines if pattern.search(line)][-most:]
    while True:
        over = rows.finished(rows.fetch(state, workflow))
        lines, position = _read_lines(file, position)
        yield from (line for line in lines if pattern.search(line))
        if over:
            return
        time.sleep(PAUSE)


def _read_lines(file: Path, position: int) -> tuple[list[str], int]:
    """The whole lines from a position on, and where they end."""
    content = file.read_bytes()[position:] if file.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), position + len(whole)
