"""The same platform in processes of their own: what they import, and the plans that they render."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain.testing.bench import Bench

PROGRAM = """
import datetime, json, os, platform, socket, sys, time

def shift(seconds):
    now, now_ns, local, gm, text = time.time, time.time_ns, time.localtime, time.gmtime, time.strftime
    time.time, time.time_ns = lambda: now() + seconds, lambda: now_ns() + int(seconds * 1e9)
    time.localtime = lambda at=None: local(time.time() if at is None else at)
    time.gmtime = lambda at=None: gm(time.time() if at is None else at)
    time.strftime = lambda form, at=None: text(form, time.localtime() if at is None else at)
    class Later(datetime.datetime):
        now = classmethod(lambda cls, tz=None: cls.fromtimestamp(time.time(), tz))
        utcnow = classmethod(lambda cls: cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None))
        today = classmethod(lambda cls: cls.now())
    datetime.datetime = Later

def move(host, cores):
    socket.gethostname = socket.getfqdn = platform.node = lambda *name: host
    os.cpu_count = lambda: cores

asked = json.loads(os.environ.pop("KIT_ASKED"))
shift(asked["shift"])
move(asked["host"], asked["cores"])
steps = []

def step(name):
    steps.append([name, sorted(sys.modules)])

from robotrain.plugins import Plugins
step("")
Plugins().platform(asked["platform"])
step("asking for the platform")
from robotrain.testing.command_line import run
import typer.testing
from robotrain.cli.app import app
step("")
run("submit", "--platform", asked["platform"], "--help")
step("submit --help")
answer = run(*asked["words"])
step("render")
told = {"steps": steps, "exit_code": answer.exit_code, "stdout": answer.stdout, "stderr": answer.stderr}
with open(asked["to"], "w") as file:
    json.dump(told, file)
"""

PLACES: tuple[dict[str, Any], ...] = (
    {"seed": "1", "shift": 0, "TZ": "Pacific/Auckland", "COLUMNS": "60", "host": "kit-moon", "cores": 3},
    {"seed": "4", "shift": 40 * 86400, "TZ": "America/New_York", "COLUMNS": "200", "host": "kit-mars", "cores": 96},
)


@dataclass(frozen=True)
class Told:
    """What one process did. imported: the modules that each step added, by its name."""

    imported: Mapping[str, list[str]]
    plan: Any


@dataclass
class Afar:
    """Two processes for each class of tests: each is asked once for a job. folders: names of the environment that
    hold folders of theirs.
    """

    folder: Path
    answers: dict[tuple[int, tuple[str, ...]], Told] = field(default_factory=dict)

    @property
    def folders(self) -> dict[str, str]:
        """The state and the cache of all of them."""
        return {"ROBOTRAIN_STATE": str(self.folder / "state"), "ROBOTRAIN_CACHE": str(self.folder / "cache")}

    def asked(self, bench: Bench) -> list[Told]:
        """What each of the two told."""
        words, answers = tuple(bench.whole), self.answers
        missing = [at for at in range(len(PLACES)) if (at, words) not in answers]
        running = [self._started(at, bench.name, words) for at in missing]
        answers.update({(at, words): self._told(at, process) for at, process in zip(missing, running, strict=True)})
        return [answers[at, words] for at in range(len(PLACES))]

    def imported(self, bench: Bench) -> Mapping[str, list[str]]:
        """The modules that each step imported, by its name: the same whatever the job is."""
        if not self.answers:
            words = tuple(bench.whole)
            self.answers[0, words] = self._told(0, self._started(0, bench.name, words))
        return next(iter(self.answers.values())).imported

    def _started(self, at: int, platform: str, words: tuple[str, ...]) -> "subprocess.Popen[str]":
        place, here = PLACES[at], self.folder / str(at)
        here.mkdir(parents=True, exist_ok=True)
        asked = {"platform": platform, "words": words, "to": str(here / "told.json")}
        asked |= {name: place[name] for name in ("shift", "host", "cores")}
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            **self.folders,
            **{name: str(place[name]) for name in ("TZ", "COLUMNS")},
            **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{at}"),
            **dict.fromkeys(("HOME", "USERPROFILE"), str(here)),
            "KIT_ASKED": json.dumps(asked),
            "PYTHONHASHSEED": str(place["seed"]),
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.Popen(
            command, cwd=here, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _told(self, at: int, process: "subprocess.Popen[str]") -> Told:
        printed = process.communicate()[0]
        assert process.returncode == 0, printed
        told = json.loads((self.folder / str(at) / "told.json").read_text())
        assert told["exit_code"] == 0, told["stderr"]
        added, before = {}, set[str]()
        for name, modules in told["steps"]:
            added[name] = sorted({*modules} - before)
            before |= {*modules}
        return Told(added, json.loads(told["stdout"]))
