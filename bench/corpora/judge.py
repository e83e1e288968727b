"""What robotrain says to a line of the corpora before anything is sent: its command line, in this process.

Left out is what asks services: pins of the Hub (`--no-pin`), and the preflight of a platform elsewhere or of a job with
sources elsewhere. The checker is asked by a process that stays (`checker_server`).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import world
from checker_server import CheckerServer
from lines import Line

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

    @property
    def is_unchecked(self) -> bool:
        """Whether a checker was asked and could not tell."""
        return "did not check its options" in self.text or "checker-unusable" in self.text


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

    def __init__(self, folder: Path, checkers: Mapping[str, Path], server: CheckerServer) -> None:
        self.folder, self._checkers, self._server = folder, checkers, server

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
    from robotrain import external_command
    from robotrain.errors import Rejected, raise_if_any
    from robotrain.submission import checked_plan
    from robotrain_runtime.environments import environment_check

    server, versions = CheckerServer(), dict[str, Any]()
    run, read = external_command.run_bounded_command, environment_check.read_versions

    preflight = checked_plan.run_preflight

    def run_preflight(rendered: Any, platform: Any, report: Any, earlier_problems: Any = ()) -> None:
        is_here = all(Path(source.uri).is_absolute() for source in rendered.plan.job.sources)
        problems = list(earlier_problems)
        if platform.name == "local" and is_here and rendered.plan.job.workload in FILES_ALONE:
            try:
                return preflight(rendered, platform, report, earlier_problems)
            except Rejected as rejected:
                problems = [problem for problem in rejected.problems if problem.code not in OF_THE_MACHINE]
        raise_if_any(problems)
        report(problems)
        return None

    def run_there(command: str, *words: str, seconds: float, **options: Any) -> Any:
        if words[:1] != ("-m",):
            return run(command, *words, seconds=seconds, **options)
        code, stdout, stderr = server.ask(command, words, options["env"], seconds)
        return external_command.ProcessResult(code, stdout, stderr, timed_out=code < 0)

    def read_once(python: Path, names: Any) -> Any:
        if str(python) not in versions:
            versions[str(python)] = read(python, names)
        return versions[str(python)]

    environ = {
        "ROBOTRAIN_STATE": str(folder / "state"),
        "ROBOTRAIN_CACHE": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    with (
        mock.patch.dict(os.environ, environ),
        mock.patch.object(checked_plan, "run_preflight", run_preflight),
        mock.patch.object(external_command, "run_bounded_command", run_there),
        mock.patch.object(environment_check, "read_versions", read_once),
    ):
        try:
            yield Judge(world.make_world(folder / "world"), checkers, server)
        finally:
            server.close()


@contextmanager
def _work_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
