"""Commands that are killed, what they leave, and the plugins that they find."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain.model.run import RunRecord
from robotrain.store import files, records
from warm_server import open_server

IMPORTED = ("typer", "yaml", "robotrain.pipeline_api", "robotrain.submission.submitter")
"""What commands import: it is there before they start."""
OUTPUT = "output"
"""The file, in a command's folder, of what it printed."""

COUNT_WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    lines: Annotated[str, Param(help="the file")] = "lines"

@hook
def robotrain_workloads():
    half = dict(container_plugin="count_work.container", produces="files")
    return [Workload(name="count", summary="adds a line", parameters=Parameters, roles={}, **half)]
"""
COUNT_CONTAINER = """
from pathlib import Path
from robotrain_runtime.plugin import PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.11", gib=0.1)

def inspect(document, data):
    return []

def work(document, data, work):
    program = "import sys; open(sys.argv[1], 'a').write('ran\\\\n')"
    return WorkCommand(arguments=("-c", program, str(document.parameters["lines"])))

def tracked(document):
    return TrackingSpec(experiment="count", run_name=document.run, params={}, tags={}, machine=False)
"""


class Commands:
    """Runs one `robotrain` at a time.

    :param site: a folder of plugins, which the commands find.
    :param more: modules that they import, beside those that all do.
    """

    def __init__(self, site: Path, more: Sequence[str] = ()) -> None:
        environ = {**os.environ, "PYTHONPATH": str(site)}
        imports = f"import {', '.join((*IMPORTED, *more))}"
        self._server = open_server(site.parent / "server.log", Path(sys.executable), imports, environ)

    def run(self, words: Sequence[str], folder: Path, environ: Mapping[str, str], seconds: float | None = None) -> int:
        """Return the exit status of a command, as `subprocess` has it.

        :param folder: for its state, its cache and what it prints.
        :param seconds: after which it is killed; None to leave it alone.
        """
        own = {"ROBOTRAIN_STATE": str(folder / "state"), "ROBOTRAIN_CACHE": str(folder / "cache")}
        environ = {**os.environ, **environ, **own}
        process = self._server.start(["-m", "robotrain", *words], environ, str(folder / OUTPUT))
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return process.wait()

    def require(self, words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        """Run a command. Raise AssertionError with its output if it fails."""
        if self.run(words, folder, environ):
            raise AssertionError((folder / OUTPUT).read_text())

    def close(self) -> None:
        """End the process that forks."""
        self._server.close()


def list_sent(folder: Path) -> list[RunRecord]:
    """Return the records of runs that commands of this folder sent."""
    os.environ["ROBOTRAIN_STATE"] = str(folder / "state")
    names = [file.parent.name for file in (files.get_state_folder() / "runs").glob("*/record.json")]
    return [record for record in map(records.read_record, names) if record.phase == "sent"]


def install_plugin(site: Path, name: str, claim: str, modules: Mapping[str, str]) -> None:
    """Install a plugin of these modules: `claim` is what it provides, as `workload.count`."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[robotrain]\n{claim}\n")
    for path, text in modules.items():
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text(text)


def install_count_workload(site: Path) -> None:
    """Install the workload `count`, whose runs add a line to a file."""
    container = {"count_work/container.py": COUNT_CONTAINER, "count_work/lock.txt": ""}
    modules = {"count_work/__init__.py": COUNT_WORKLOAD, **container}
    install_plugin(site, "robotrain_count", "workload.count = count_work", modules)
