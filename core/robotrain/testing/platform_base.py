"""The base of a platform's tests: fixtures, and the platform in other processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from robotrain.plugins.claims import Claim
from robotrain.testing.bench import Bench, World
from robotrain.testing.kit_base import ImportTests

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

imported, before = {}, set()
def record_imports(step):
    imported[step] = sorted({*sys.modules} - before)
    before.update(sys.modules)

from robotrain.plugins.manager import Plugins
record_imports("")
Plugins().platform(request["platform"])
record_imports("loading the platform")
from typer.testing import CliRunner
from robotrain.cli.app import app
record_imports("")
CliRunner().invoke(app, ["submit", "--platform", request["platform"], "--help"])
record_imports("submit --help")
result = CliRunner().invoke(app, request["words"])
record_imports("render")
assert result.exit_code == 0, result.output
json.dump({"imported": imported, "plan": json.loads(result.stdout)}, open(sys.argv[1], "w"))
"""
MOON = {"seed": "1", "shift": 0, "TZ": "Pacific/Auckland", "COLUMNS": "60", "host": "kit-moon", "cores": 3}
MARS = {"seed": "4", "shift": 40 * 86400, "TZ": "America/New_York", "COLUMNS": "200", "host": "kit-mars", "cores": 96}


def render_elsewhere(bench: Bench, folder: Path, **place: Any) -> dict[str, Any]:
    """Render a job in another process, of another user, host and time.

    :return: the `plan` as data, and the modules `imported` by each step.
    """
    folder.mkdir()
    request, words = folder / "request.json", bench.make_command("render", "--json", *bench.complete_words())
    request.write_text(json.dumps({**place, "platform": bench.name, "words": words}))
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        **{name: place[name] for name in ("TZ", "COLUMNS")},
        **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{folder.name}"),
        **dict.fromkeys(("HOME", "USERPROFILE"), str(folder)),
        "PYTHONHASHSEED": place["seed"],
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    program = [sys.executable, "-c", RENDER_PROGRAM, str(request)]
    done = subprocess.run(program, cwd=folder, env=environ, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the job cannot be rendered in another process:\n{done.stdout}{done.stderr}", pytrace=False)
    report: dict[str, Any] = json.loads(request.read_text())
    return report


class PlatformTestBase(ImportTests):
    """The base of all test classes of PlatformKit; `platform` is the platform's name."""

    platform: ClassVar[str]
    public_only: ClassVar[bool | None] = True

    @pytest.fixture
    def kit_claim(self, bench: Bench) -> Claim:
        """The claim of the platform, which its world may have installed."""
        return next(one for one in bench.plugins.claims if (one.family, one.name) == ("platform", self.platform))

    @pytest.fixture
    def bench(self, kit_folders: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        """The platform in its world, with an empty cache."""
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(kit_folders.parent / "cache"))
        monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "30")  # one preflight that hangs would do so in each submit
        bench = Bench(self.platform, world)
        with bench.wrap_method("render", bench.record_plan):
            yield bench
