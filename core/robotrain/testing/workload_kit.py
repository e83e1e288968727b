"""`WorkloadKit`, the conformance kit of workloads: container plugin, platforms, a small run."""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from robotrain_runtime.contract import event
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.model.platform import Platform
from robotrain.model.workload import Produces, Workload
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock
from robotrain.store import records as store_records
from robotrain.submission.packing import pack_modules
from robotrain.testing import harness, probe
from robotrain.testing.import_rules import assert_imports_alone
from robotrain.testing.workload_parameters import (
    ParameterEffectTests,
    WorkloadParameterTests,
    WorkloadTestBase,
    render_refused_job,
)

REQUIRED_NAMES = ("ENVIRONMENT", "work", "tracked")
PINNED_PATTERN = r"(?:==|@ )\S+.*--hash=sha256:[0-9a-f]{64}"
PYTHON_PATTERN = r"3\.\d+(?:-3\.\d+)?"


class WorkloadContainerTests(WorkloadTestBase):
    """Of the module that acts in the container."""

    def test_packed_modules_need_only_the_standard_library(self, declaration: Workload, tmp_path: Path) -> None:
        """The image is a stranger's: a half imports the standard library, robotrain_runtime and what lies beside it."""
        assert_imports_alone(tmp_path, declaration.container_plugin)

    def test_workload_container_plugin_is_complete(self, container_plugin: WorkloadContainerPlugin) -> None:
        """The container plugin has what the runtime calls."""
        missing = [name for name in REQUIRED_NAMES if name not in vars(container_plugin)]
        assert not missing, f"it has no {', '.join(missing)}"
        assert isinstance(container_plugin.ENVIRONMENT, PythonEnvironment), "ENVIRONMENT is no PythonEnvironment"

    def test_environment_is_locked_by_hash(
        self, declaration: Workload, container_plugin: WorkloadContainerPlugin
    ) -> None:
        """A job runs the same code a year later: each line of the lock has its version and hash, and it is packed."""
        environment: PythonEnvironment = container_plugin.ENVIRONMENT
        assert re.fullmatch(PYTHON_PATTERN, environment.python), f"{environment.python!r} is no version of Python"
        assert environment.gib > 0, "say how much disk it needs"
        assert not find_unhashed(environment.lock.read_text()), "without a hash: `uv pip compile --generate-hashes`"
        names = zipfile.ZipFile(io.BytesIO(pack_modules([declaration.container_plugin]).archive)).namelist()
        assert any(environment.lock.as_posix().endswith(f"/{name}") for name in names), "the lock is not packed"


def find_unhashed(lock: str) -> list[str]:
    """The requirements of a lock that are not pinned by version and hash."""
    lines = re.sub(r"\\\s*\n", " ", lock).split("\n")
    requirements = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "--"))]
    return [line.split()[0] for line in requirements if not re.search(PINNED_PATTERN, line)]


class WorkloadPlatformTests(WorkloadTestBase):
    """options: by platform, the words that its settings need."""

    yours: ClassVar[tuple[str, ...]] = ("options",)
    options: ClassVar[Mapping[str, Sequence[str]]] = {}

    def test_roles_are_known(self, declaration: Workload) -> None:
        """A role says what an input is for: source kinds fill those that there are."""
        assert {*declaration.roles} <= {*probe.ROLES}, f"there are {', '.join(probe.ROLES)}"

    def test_missing_input_is_rejected(self, declaration: Workload, probe_plugin: None) -> None:
        """A job without its data is refused where it is typed, exit code 2, with what to type."""
        needed = [role for role, rule in declaration.roles.items() if rule.required]
        if not needed:
            pytest.skip("it needs no input")
        answer, problems = render_refused_job(self.workload)
        titles = [problem["title"] for problem in problems if problem["code"] == "source-missing"]
        assert answer.exit_code == 2, str(answer)
        assert "plugin-failed" not in answer.codes, f"`check` takes it for granted: {answer}"
        assert not [role for role in needed if not any(role in title for title in titles)], str(answer)

    def test_supporting_platforms_render_it(self, declaration: Workload, probe_plugin: None) -> None:
        """A platform's yes is a promise: with its own settings said, the job becomes a plan."""
        plugins = Plugins()
        kinds = plugins.source_kinds()
        flags = {flag for one in get_parameters(declaration.parameters) for flag in one.flags}
        for name, platform in plugins.platforms().items():
            if not platform.capabilities.workload(declaration.name):
                continue
            words = [*_list_required_inputs(declaration, platform, kinds), *self.options.get(name, ())]
            answer = harness.run_command("render", self.workload, "--platform", name, *words, "--json")
            if answer.exit_code and name not in self.options:  # its settings are not said; the rest counts
                wrong = [one for one in answer.json["problems"] if one["severity"] == "error"]
                assert not [one for one in wrong if one["where"] in flags or "workload" in one["code"]], str(answer)
            else:
                assert answer.exit_code == 0, str(answer)


def _list_required_inputs(declared: Workload, platform: Platform, kinds: Mapping[str, object]) -> Iterator[str]:
    """An example of each input that is needed, of the first kind that the platform takes."""
    for role, rule in declared.roles.items():
        accepted = platform.capabilities.list_accepted_kinds(role, kinds) if rule.required else []  # type: ignore[arg-type]  # kinds
        for kind in accepted[:1]:
            yield from (kind.roles[role].flag, kind.example)


PRODUCED_EVENTS: Mapping[Produces, str] = {"checkpoints": "checkpoint", "results": "evaluated"}
"""The event by which a run tells what it leaves."""


class WorkloadRunTests(WorkloadTestBase):
    """runs: a fixture with the words of a small and complete job. tells: the events that such a run must tell."""

    yours: ClassVar[tuple[str, ...]] = ("runs", "tells")
    tells: ClassVar[Sequence[str]] = ("metrics",)

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """The words of a job that really runs; yours to define."""
        pytest.skip("there is no fixture `runs`: nothing is run")

    def test_small_job_runs_to_its_end(self, declaration: Workload, runs: Sequence[str]) -> None:
        """What was rendered does the work: the run succeeds, tells its progress in events that all can read, and leaves
        what `makes` says.
        """
        here = [one for one in Plugins().platforms().values() if one.capabilities.feature("runs_here")]
        if not here:
            pytest.skip("no installed platform runs jobs on this machine")
        answer = harness.run_command("submit", "--platform", here[0].name, "--wait", "--json", self.workload, *runs)
        assert answer.exit_code == 0, str(answer)
        told = _list_events(here[0], answer.json["run"])
        assert not {*self.tells} - told, f"it told only: {', '.join(sorted(told))}"
        for makes, one in PRODUCED_EVENTS.items():
            said = f"its `makes` is {declaration.produces!r}, and it told {'an' if one in told else 'no'} event `{one}`"
            assert (one in told) == (declaration.produces == makes), said


def _list_events(platform: Platform, run: str) -> set[str]:
    """The events that are in the log of a run, by their names."""
    log = platform.logs(name_lock.read_submitted_record(store_records.find_run(run)).reference, False)
    records = [record for line in log if (record := event.parse_event(line))]
    return {type(record.event).__name__.lower() for record in records}


class WorkloadKit(
    WorkloadParameterTests, ParameterEffectTests, WorkloadContainerTests, WorkloadPlatformTests, WorkloadRunTests
):
    """The standard tests of a workload. In a test file of your distribution, which is installed::

        class TestStatistics(WorkloadKit):
            workload = "lerobot-stats"
            job = ("--dataset-path", "/folder/of/a/dataset")
            unchanged: ClassVar = {"bins": "counts alike however many there are, in a dataset of one episode"}

            @pytest.fixture
            def runs(self):
                return ("--dataset-path", "/folder/of/a/dataset", "--bins", "4")

    workload: its name. job: the words of a complete job of it, on any platform; its sources are folders that are here,
    or the fixture `data` gives the folder of each. changed: another value of a parameter, where none can be guessed.
    unchanged: by parameter, why it alone changes nothing that is made of `job`. options: by platform, the words that
    its settings need. runs: a fixture with the words of a small job that is run on this machine; tells: the events that
    it must tell (`metrics`, `checkpoint`); public_only: as of PlatformKit.
    """
