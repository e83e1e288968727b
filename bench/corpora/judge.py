"""What robotrain says to a line of the corpora before anything is sent: its command line, in this process.

Left out is what asks services: pins of the Hub (`--no-pin`), and the preflight of a platform elsewhere or of a job with
sources elsewhere. A checker starts warm (`warm_server` of the tests).
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import world
from lines import Line

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from warm_server import share_lerobot

CACHED_DESCRIPTIONS = """
import functools
from draccus.wrappers import field_wrapper
field_wrapper.docstring.get_attribute_docstring = functools.cache(field_wrapper.docstring.get_attribute_docstring)
"""
"""Describes each option of LeRobot only once: a check takes a third of the time."""
NEWEST = ""
OF_THE_MACHINE = ("gpu-missing",)
"""Problems of the machine that types, not of the job."""
FILES_ALONE = ("lerobot-train", "lerobot-eval", "rosbag-act-train")
"""Workloads whose preflight on this machine looks at files, not for a simulator."""


@dataclass(frozen=True)
class Answer:
    """What a line did."""

    code: int
    text: str
    """Its standard error."""

    @property
    def is_refused(self) -> bool:
        """Whether nothing would be sent."""
        return self.code != 0


def make_words(line: Line) -> tuple[str, ...]:
    """Return what follows `robotrain`."""
    before, after = line.split()
    dashes = ("--", *after) if after else ()
    is_job = before[:1] and not before[0].startswith("-")
    name, flags = (before[:1], before[1:]) if is_job else ((), before)
    return ("submit", *name, *line.place, "--dry-run", "--no-pin", *flags, *dashes)


class Judge:
    """Types lines in a folder.

    :param folder: of `world.make_world`, below which robotrain keeps its state.
    :param checkers: by LeRobot's version, its Python; `NEWEST` for lines that name none. Empty to ask none.
    """

    def __init__(self, folder: Path, checkers: Mapping[str, Path]) -> None:
        self.folder, self._checkers = folder, checkers

    def judge(self, line: Line) -> Answer:
        """Return what robotrain says. Raise what it raises."""
        from robotrain.cli.app import app
        from typer.testing import CliRunner

        words = line.words
        version = words[words.index("--lerobot-version") + 1] if "--lerobot-version" in words else NEWEST
        checker = str(self._checkers.get(version, "none"))
        with mock.patch.dict(os.environ, {"ROBOTRAIN_CHECKER": checker}), _work_in(self.folder):
            result = CliRunner().invoke(app, list(make_words(line)))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stderr)


@contextmanager
def open_judge(folder: Path, checkers: Mapping[str, Path]) -> Iterator[Judge]:
    """Make the folder of the corpora, and yield who types there."""
    from robotrain.errors import Rejected, raise_if_any
    from robotrain.submission import checked_plan, trainer_check
    from robotrain_runtime.environments import environment_check

    versions = dict[tuple[str, ...], Any]()
    read = environment_check.read_versions
    inherited = {name: os.environ[name] for name in trainer_check.KEPT_VARIABLES if name in os.environ}
    servers = {
        name: share_lerobot(folder, python.parent.parent, inherited | trainer_check.OFFLINE, CACHED_DESCRIPTIONS)
        for name, python in checkers.items()
    }
    preflight = checked_plan.run_preflight

    def run_preflight(rendered: Any, platform: Any, earlier_problems: Any = (), **options: Any) -> Any:
        paths = [Path(source.uri) for source in rendered.plan.job.sources]
        is_here = all(path.is_absolute() for path in paths)
        is_here |= any(path.is_absolute() and not path.exists() for path in paths)  # that is refused whatever else is
        problems = list(earlier_problems)
        if platform.name == "local" and is_here and rendered.plan.job.workload in FILES_ALONE:
            try:
                return preflight(rendered, platform, earlier_problems, **options)
            except Rejected as rejected:
                problems = [problem for problem in rejected.problems if problem.code not in OF_THE_MACHINE]
        raise_if_any(problems)
        return problems

    def read_once(python: Path, names: Any) -> Any:
        key = (str(python), *names)
        if key not in versions:
            versions[key] = read(python, names)
        return versions[key]

    environ = {
        "ROBOTRAIN_STATE": str(folder / "state"),
        "ROBOTRAIN_CACHE": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "OMP_NUM_THREADS": "1",  # as that of a checker that starts warm
    }
    with (
        mock.patch.dict(os.environ, environ),
        mock.patch.object(checked_plan, "run_preflight", run_preflight),
        mock.patch.object(environment_check, "read_versions", read_once),
    ):
        try:
            pythons = {name: server.environment / "bin/python" for name, server in servers.items()}
            yield Judge(world.make_world(folder / "world"), pythons)
        finally:
            for server in servers.values():
                server.close()


@contextmanager
def _work_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
