"""A platform whose runs are scripted: each is a folder, and what lies in it is what the platform says. Read as text by
the tests, like plain_platform.py; `scripted_runs.py` in tests/cli writes the folders.

`status.json`: the fields of Status. `log.txt`: the log, followed until the status is an end. `hangs`, `raises`, `gone`,
`denies`, `talks`: for every question. `breaks`: after how many lines the log breaks off, the first time. `refuses`:
cancel does. `outputs.json`: fields of Output; a uri is a path beside it. `stuck`: removing outputs fails. `keeps`: it
keeps them. It writes a byte to `asked` for each answer of `status`, and to `read` for each line of the log that its
reader has dealt with.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Output,
    Platform,
    PlatformEngine,
    PlatformPlans,
    Problem,
    Rejected,
    RunGone,
    Stage,
    Status,
    Suggestion,
    hook,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    pass


def rejected(title: str) -> Rejected:
    return Rejected([Problem(code="scripted-says-no", stage=Stage.SUBMIT, title=title)])


def denied(reason: str) -> Rejected:
    way = Suggestion("scripted login")
    return Rejected([Problem(code="signed-out", stage=Stage.SUBMIT, title="not told", why=reason, suggestions=(way,))])


class ScriptedEngine(PlatformPlans, PlatformEngine):
    def describe_reference(self, reference: Any) -> dict[str, str]:
        page = Path(reference["folder"]) / "page"
        return {"page": page.read_text()} if page.exists() else {}

    def status(self, reference: Any) -> Status:
        status = self._query(Path(reference["folder"]))
        self._note(reference, "asked")
        return status

    def _query(self, folder: Path) -> Status:
        while (folder / "hangs").exists():
            time.sleep(0.05)
        if (folder / "raises").exists():
            (folder / "raised").touch()
            raise ConnectionError((folder / "raises").read_text())
        if (folder / "denies").exists():
            raise denied((folder / "denies").read_text())
        if (folder / "gone").exists():
            raise RunGone("scripted no longer knows this run")
        if (folder / "talks").exists():
            print("scripted talks while it is asked")
        return Status(**json.loads((folder / "status.json").read_text()))

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        folder = Path(reference["folder"])
        breaks, yielded = folder / "breaks", 0
        at = len(self._log(folder)) - tail if tail is not None else 0
        at = max(0, at)
        while True:
            over = not follow or self._query(folder).finished
            for line in self._log(folder)[at:]:
                if breaks.exists() and yielded == int(breaks.read_text()):
                    breaks.unlink()
                    raise ConnectionError("the line to scripted broke")
                at, yielded = at + 1, yielded + 1
                yield line
                self._note(reference, "read")
            if over:
                return
            time.sleep(0.02)

    def events_file(self, reference: Any) -> Path | None:
        events = Path(reference["folder"], "events.jsonl")
        return events if events.exists() else None

    def cancel(self, reference: Any) -> None:
        folder = Path(reference["folder"])
        if (folder / "refuses").exists():
            raise rejected("scripted does not let go of it")
        (folder / "status.json").write_text(json.dumps({"state": "cancelled", "started": 1e9, "ended": 1e9 + 60}))

    def outputs(self, reference: Any) -> Iterator[Output]:
        path = Path(reference["folder"]) / "outputs.json"
        for fields in json.loads(path.read_text()) if path.exists() else ():
            yield Output(**{"source": "local_path", **fields})

    def download(self, reference: Any, output: Output, to: Path) -> None:
        source = Path(reference["folder"]) / output.uri
        if not source.exists():
            raise rejected(f"{output.name} is not there any more")
        shutil.copytree(source, to) if source.is_dir() else shutil.copyfile(source, to)
        if (Path(reference["folder"]) / "tears").exists():
            raise ConnectionError("the line to scripted broke")
        while (Path(reference["folder"]) / "dawdles").exists():
            time.sleep(0.05)

    def remove_outputs(self, reference: Any, dry_run: bool = False) -> int | None:
        folder = Path(reference["folder"])
        if (folder / "keeps").exists():
            return None
        if (folder / "stuck").exists() and not dry_run:
            raise PermissionError(13, "Permission denied", str(folder))
        freed = sum(path.stat().st_size for path in (folder / "left").rglob("*") if path.is_file())
        if not dry_run:
            shutil.rmtree(folder)
        return freed

    def _note(self, reference: Any, what: str) -> None:
        with Path(reference["folder"], what).open("a") as notes:
            notes.write(".")

    def _log(self, folder: Path) -> list[str]:
        log = folder / "log.txt"
        return log.read_text().split("\n")[:-1] if log.exists() else []


SCRIPTED = Platform(
    name="NAME",
    summary="very far away",
    engine_class=ScriptedEngine,
    settings=Settings,
    capabilities=Capabilities(sources={}, workloads={ANY: YES}, features={}),
)


@hook
def robotrain_platforms() -> list[Platform]:
    return [SCRIPTED]
