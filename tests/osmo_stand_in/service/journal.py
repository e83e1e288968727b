"""The log lines of tasks, as OSMO stores them."""

import datetime
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from osmo_stand_in.service import rows
from osmo_stand_in.state import State

PAUSE = 0.1


def file(state: State, name: str, kind: str = "logs") -> Path:
    """Where the lines of a workflow are."""
    return state.folder / kind / f"{name}.log"


def add(state: State, name: str, text: str, task: str, retry: int = 0, control: bool = False) -> None:
    """Lines of a task; control: OSMO's own."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
    source = f"[{task} retry-{retry}]" if retry else f"[{task}]"
    lines = text.split("\n") if text else [""]
    text = "".join(f"{date} {source}{'[osmo]' if control else ''} {line}\n" for line in lines)
    state.append(f"logs/{name}.log", text)


def stream(state: State, name: str, params: Mapping[str, Any], kind: str = "logs") -> Iterator[str]:
    """The lines, to the workflow's end, however long that takes."""
    wanted = _wanted(state, name, params)
    whole = _whole(file(state, name, kind), 0)
    shown = [line for line in whole.splitlines() if wanted.search(line)]
    most = 1000 if params.get("task_name") else 10000
    yield from shown[-min(params.get("last_n_lines") or most, most) :]
    position = len(whole.encode())
    while True:
        over = rows.finished(rows.fetch(state, name))
        fresh = _whole(file(state, name, kind), position)
        position += len(fresh.encode())
        yield from (line for line in fresh.splitlines() if wanted.search(line))
        if over:
            return
        time.sleep(PAUSE)


def _whole(path: Path, position: int) -> str:
    """The whole lines from a position on."""
    if not path.exists():
        return ""
    with path.open("rb") as there:
        there.seek(position)
        content = there.read()
    return content[: content.rfind(b"\n") + 1].decode(errors="replace")


def _wanted(state: State, name: str, params: Mapping[str, Any]) -> "re.Pattern[str]":
    task = params.get("task_name")
    if not task:
        return re.compile("")
    retry = next(int(one["retry_id"]) for one in rows.latest(rows.fetch(state, name)) if one["name"] == task)
    return re.compile(rf"^[^ ]+ [^ ]+ \[{task}{f' retry-{retry}' if retry else ''}\]")
