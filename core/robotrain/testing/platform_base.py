"""The base of a platform's tests: fixtures, and the platform in other processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from robotrain.plugins.claims import Claim
from robotrain.testing import bench, harness
from robotrain.testing.bench import Bench
from robotrain.testing.fixtures import World
from robotrain.testing.import_rules import PublicImportTests

RENDER_PROGRAM = """
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

from robotrain.plugins.manager import Plugins
step("")
Plugins().platform(asked["platform"])
step("asking for the platform")
from robotrain.testing.harness import run_command
import typer.testing
from robotrain.cli.app import app
step("")
run_command("submit", "--platform", asked["platform"], "--help")
step("submit --help")
answer = run_command(*asked["words"])
step("render")
told = {"steps": steps, "exit_code": answer.exit_code, "stdout": answer.stdout, "stderr": answer.stderr}
with open(asked["to"], "w") as file:
    json.dump(told, file)
"""

ENVIRONMENTS: tuple[dict[str, Any], ...] = (
    {"seed": "1", "shift": 0, "TZ": "Pacific/Auckland", "COLUMNS": "60", "host": "kit-moon", "cores": 3},
    {"seed": "4", "shift": 40 * 86400, "TZ": "America/New_York", "COLUMNS": "200", "host": "kit-mars", "cores": 96},
)


@dataclass(frozen=True)
class ProcessReport:
    """What one process did. imported: the modules that each step added, by its name."""

    imported: Mapping[str, list[str]]
    plan: Any


@dataclass
class OtherProcesses:
    """Two processes for each class of tests: each is asked once for a job. folders: names of the environment that
    hold folders of theirs.
    """

    folder: Path
    reports: dict[tuple[int, tuple[str, ...]], ProcessReport] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """The state and the cache of all of them."""
        return {"ROBOTRAIN_STATE": str(self.folder / "state"), "ROBOTRAIN_CACHE": str(self.folder / "cache")}

    def render_plans(self, bench: Bench) -> list[ProcessReport]:
        """What each of the two told."""
        words, answers = tuple(bench.render_command), self.reports
        missing = [at for at in range(len(ENVIRONMENTS)) if (at, words) not in answers]
        running = [self._start_process(at, bench.name, words) for at in missing]
        answers.update(
            {(at, words): self._read_report(at, process) for at, process in zip(missing, running, strict=True)}
        )
        return [answers[at, words] for at in range(len(ENVIRONMENTS))]

    def list_imports(self, bench: Bench) -> Mapping[str, list[str]]:
        """The modules that each step imported, by its name: the same whatever the job is."""
        if not self.reports:
            words = tuple(bench.render_command)
            self.reports[0, words] = self._read_report(0, self._start_process(0, bench.name, words))
        return next(iter(self.reports.values())).imported

    def _start_process(self, at: int, platform: str, words: tuple[str, ...]) -> "subprocess.Popen[str]":
        place, here = ENVIRONMENTS[at], self.folder / str(at)
        here.mkdir(parents=True, exist_ok=True)
        asked = {"platform": platform, "words": words, "to": str(here / "told.json")}
        asked |= {name: place[name] for name in ("shift", "host", "cores")}
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            **self.environ,
            **{name: str(place[name]) for name in ("TZ", "COLUMNS")},
            **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{at}"),
            **dict.fromkeys(("HOME", "USERPROFILE"), str(here)),
            "KIT_ASKED": json.dumps(asked),
            "PYTHONHASHSEED": str(place["seed"]),
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        command = [sys.executable, "-c", RENDER_PROGRAM]
        return subprocess.Popen(
            command, cwd=here, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _read_report(self, at: int, process: "subprocess.Popen[str]") -> ProcessReport:
        printed = process.communicate()[0]
        assert process.returncode == 0, printed
        told = json.loads((self.folder / str(at) / "told.json").read_text())
        assert told["exit_code"] == 0, told["stderr"]
        added, before = {}, set[str]()
        for name, modules in told["steps"]:
            added[name] = sorted({*modules} - before)
            before |= {*modules}
        return ProcessReport(added, json.loads(told["stdout"]))


class PlatformTestBase(PublicImportTests):
    """The base of every theme of PlatformKit. platform: its name."""

    yours: ClassVar[tuple[str, ...]] = ("platform", "world")
    platform: ClassVar[str]
    public_only: ClassVar[bool | None] = True

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Nobody's state, settings or `.env` are seen, and nothing is left in them."""
        folder = tmp_path / "kit"
        harness.isolate_folders(folder, monkeypatch)
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(folder / "cache"))
        monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "30")  # a preflight that hangs, hangs in every test that submits
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def kit_site_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """The folder that the kit's own source kind and workload are installed in."""
        site = tmp_path_factory.mktemp("kit-site")
        bench.install_sample_plugin(site)
        yield site
        for name in [name for name in sys.modules if name.partition(".")[0] == bench.SAMPLE_PACKAGE]:
            del sys.modules[name]

    @pytest.fixture(autouse=True)
    def kit_sample_plugin(self, kit_site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are on the path."""
        monkeypatch.syspath_prepend(kit_site_folder)

    @pytest.fixture(scope="class")
    @classmethod
    def kit_processes(cls, tmp_path_factory: pytest.TempPathFactory) -> OtherProcesses:
        """The platform in two other processes."""
        return OtherProcesses(tmp_path_factory.mktemp("kit-afar"))

    @pytest.fixture
    def bench(self, kit_folders: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """The platform in its world."""
        bench = Bench(type(self).platform, world)
        bench.record_plans(monkeypatch)
        return bench

    @pytest.fixture
    def kit_claim(self, bench: Bench) -> Claim:
        """The claim of the platform."""
        return bench.claim
