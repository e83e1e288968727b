"""The base of a platform's tests: fixtures, and the platform in other processes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from robotrain.plugins.claims import Claim
from robotrain.testing import harness
from robotrain.testing.bench import SAMPLE_KIND, SAMPLE_WORKLOAD, Bench, World
from robotrain.testing.kit_base import KitBase

SAMPLE_PACKAGE = "robotrain_kit_sample"

RENDER_PROGRAM = """
import datetime, json, os, platform, socket, sys, time
request = json.load(open(sys.argv[1]))

now, now_ns, local, gm, text = time.time, time.time_ns, time.localtime, time.gmtime, time.strftime
time.time, time.time_ns = lambda: now() + request["shift"], lambda: now_ns() + int(request["shift"] * 1e9)
time.localtime = lambda at=None: local(time.time() if at is None else at)
time.gmtime = lambda at=None: gm(time.time() if at is None else at)
time.strftime = lambda form, at=None: text(form, time.localtime() if at is None else at)
class Later(datetime.datetime):
    now = classmethod(lambda cls, tz=None: cls.fromtimestamp(time.time(), tz))
    utcnow = classmethod(lambda cls: cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None))
    today = classmethod(lambda cls: cls.now())
datetime.datetime = Later
socket.gethostname = socket.getfqdn = platform.node = lambda *name: request["host"]
os.cpu_count = lambda: request["cores"]

from robotrain.plugins.manager import Plugins
steps = [["", [*sys.modules]]]
Plugins().platform(request["platform"])
steps.append(["loading the platform", [*sys.modules]])
from robotrain.testing.harness import run_command
import typer.testing
from robotrain.cli.app import app
steps.append(["", [*sys.modules]])
run_command("submit", "--platform", request["platform"], "--help")
steps.append(["submit --help", [*sys.modules]])
result = run_command(*request["words"])
steps.append(["render", [*sys.modules]])
assert result.exit_code == 0, result
json.dump({"steps": steps, "plan": result.json}, open(sys.argv[1], "w"))
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
        processes = [self._start_process(bench, self.folder / str(at), ENVIRONMENTS[at]) for at in range(count)]
        return [self._read_plan(self.folder / str(at), process) for at, process in enumerate(processes)]

    def list_imports(self, bench: Bench) -> dict[str, list[str]]:
        """Return the modules that each step imported, by its name."""
        if not self.imported:
            self.render_plans(bench, 1)
        return self.imported

    def _start_process(self, bench: Bench, here: Path, place: dict[str, Any]) -> "subprocess.Popen[str]":
        here.mkdir(parents=True, exist_ok=True)
        request = here / "request.json"
        request.write_text(json.dumps({**place, "platform": bench.name, "words": bench.render_command}))
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            **self.environ,
            **{name: place[name] for name in ("TZ", "COLUMNS")},
            **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{here.name}"),
            **dict.fromkeys(("HOME", "USERPROFILE"), str(here)),
            "PYTHONHASHSEED": place["seed"],
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        command = [sys.executable, "-c", RENDER_PROGRAM, str(request)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=here, env=environ, **pipes)

    def _read_plan(self, here: Path, process: "subprocess.Popen[str]") -> Any:
        output = process.communicate()[0]
        assert process.returncode == 0, output
        report = json.loads((here / "request.json").read_text())
        before = set[str]()
        for step, modules in report["steps"]:
            self.imported[step] = sorted({*modules} - before)
            before |= {*modules}
        return report["plan"]


class PlatformTestBase(KitBase):
    """The base of all test classes of PlatformKit; `platform` is the platform's name."""

    yours: ClassVar[tuple[str, ...]] = ("platform", "world")
    platform: ClassVar[str]
    public_only: ClassVar[bool | None] = True

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, kit_site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Isolate the state, settings and `.env` of whoever runs the tests, and install the sample plugin."""
        monkeypatch.syspath_prepend(kit_site_folder)
        folder = tmp_path / "kit"
        harness.isolate_folders(folder, monkeypatch)
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(folder / "cache"))
        monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "30")  # one preflight that hangs would do so in each submit
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def kit_site_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A folder of the path with the kit's sample plugin."""
        site, module = tmp_path_factory.mktemp("kit-site"), f"{SAMPLE_PACKAGE}.plugin"
        shutil.copytree(Path(__file__).with_name("sample_plugin"), site / SAMPLE_PACKAGE)
        claims = {f"source.{SAMPLE_KIND}": module, f"workload.{SAMPLE_WORKLOAD}": module}
        harness.install_metadata(site, "robotrain-kit-sample", claims)
        yield site
        for name in [name for name in sys.modules if name.partition(".")[0] == SAMPLE_PACKAGE]:
            del sys.modules[name]

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
