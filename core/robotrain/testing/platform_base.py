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
from robotrain.testing.bench import Bench, World
from robotrain.testing.kit_base import KitBase

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

request = json.loads(os.environ.pop("KIT_REQUEST"))
shift(request["shift"])
move(request["host"], request["cores"])
steps = []

def step(name):
    steps.append([name, sorted(sys.modules)])

from robotrain.plugins.manager import Plugins
step("")
Plugins().platform(request["platform"])
step("loading the platform")
from robotrain.testing.harness import run_command
import typer.testing
from robotrain.cli.app import app
step("")
run_command("submit", "--platform", request["platform"], "--help")
step("submit --help")
result = run_command(*request["words"])
step("render")
report = {"steps": steps, "exit_code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}
with open(request["to"], "w") as file:
    json.dump(report, file)
"""

ENVIRONMENTS: tuple[dict[str, Any], ...] = (
    {"seed": "1", "shift": 0, "TZ": "Pacific/Auckland", "COLUMNS": "60", "host": "kit-moon", "cores": 3},
    {"seed": "4", "shift": 40 * 86400, "TZ": "America/New_York", "COLUMNS": "200", "host": "kit-mars", "cores": 96},
)


@dataclass
class OtherProcesses:
    """Processes that load the platform and render a plan, elsewhere; shared by a class of tests."""

    folder: Path
    imported: dict[str, list[str]] = field(default_factory=dict)
    """The modules that each step imported, by the step's name: they are the same for every job."""

    @property
    def environ(self) -> dict[str, str]:
        """The variables that all of them share: the folders of the state and the cache."""
        return {"ROBOTRAIN_STATE": str(self.folder / "state"), "ROBOTRAIN_CACHE": str(self.folder / "cache")}

    def render_plans(self, bench: Bench, count: int = len(ENVIRONMENTS)) -> list[Any]:
        """Return the plan that each process rendered, as data."""
        words = bench.render_command
        processes = [self._start_process(number, bench.name, words) for number in range(count)]
        return [self._read_plan(number, process) for number, process in enumerate(processes)]

    def list_imports(self, bench: Bench) -> Mapping[str, list[str]]:
        """Return the modules that each step imported, by its name."""
        if not self.imported:
            self.render_plans(bench, 1)
        return self.imported

    def _start_process(self, number: int, platform: str, words: list[str]) -> "subprocess.Popen[str]":
        place, here = ENVIRONMENTS[number], self.folder / str(number)
        here.mkdir(parents=True, exist_ok=True)
        request = {"platform": platform, "words": words, "to": str(here / "report.json")}
        request |= {name: place[name] for name in ("shift", "host", "cores")}
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            **self.environ,
            **{name: str(place[name]) for name in ("TZ", "COLUMNS")},
            **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{number}"),
            **dict.fromkeys(("HOME", "USERPROFILE"), str(here)),
            "KIT_REQUEST": json.dumps(request),
            "PYTHONHASHSEED": str(place["seed"]),
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        command = [sys.executable, "-c", RENDER_PROGRAM]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=here, env=environ, **pipes)

    def _read_plan(self, number: int, process: "subprocess.Popen[str]") -> Any:
        output = process.communicate()[0]
        assert process.returncode == 0, output
        report = json.loads((self.folder / str(number) / "report.json").read_text())
        assert report["exit_code"] == 0, report["stderr"]
        before = set[str]()
        for step, modules in report["steps"]:
            self.imported[step] = sorted({*modules} - before)
            before |= {*modules}
        return json.loads(report["stdout"])


class PlatformTestBase(KitBase):
    """The base of all test classes of PlatformKit; `platform` is the platform's name."""

    yours: ClassVar[tuple[str, ...]] = ("platform", "world")
    platform: ClassVar[str]
    public_only: ClassVar[bool | None] = True

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Isolate the state, settings and `.env` of whoever runs the tests."""
        folder = tmp_path / "kit"
        harness.isolate_folders(folder, monkeypatch)
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(folder / "cache"))
        monkeypatch.setenv(
            "ROBOTRAIN_PLUGIN_SECONDS", "30"
        )  # a preflight that hangs does so in every test that submits
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def kit_site_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """The folder with the kit's sample plugin."""
        site = tmp_path_factory.mktemp("kit-site")
        bench.install_sample_plugin(site)
        yield site
        for name in [name for name in sys.modules if name.partition(".")[0] == bench.SAMPLE_PACKAGE]:
            del sys.modules[name]

    @pytest.fixture(autouse=True)
    def kit_sample_plugin(self, kit_site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the sample plugin on the path."""
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
