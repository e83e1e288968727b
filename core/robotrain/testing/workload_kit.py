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
from robotrain.testing.harness import assert_none
from robotrain.testing.kit_base import assert_imports_alone
from robotrain.testing.probe import run_with_probe
from robotrain.testing.workload_parameters import (
    ParameterEffectTests,
    WorkloadParameterTests,
    WorkloadTestBase,
    select_errors_of,
)

REQUIRED_NAMES = ("ENVIRONMENT", "work", "tracked")
PINNED_PATTERN = r"(?:==|@ )\S+.*--hash=sha256:[0-9a-f]{64}"
PYTHON_PATTERN = r"3\.\d+(?:-3\.\d+)?"


class WorkloadContainerTests(WorkloadTestBase):
    """The container plugin."""

    def test_packed_modules_need_only_the_standard_library(self, declaration: Workload, tmp_path: Path) -> None:
        """Any image may run it: it imports the standard library, robotrain_runtime and its own package."""
        assert_imports_alone(tmp_path, declaration.container_plugin)

    def test_workload_container_plugin_is_complete(self, container_plugin: WorkloadContainerPlugin) -> None:
        """It has the names that the runtime calls."""
        assert_none((name for name in REQUIRED_NAMES if name not in vars(container_plugin)), "the module has no")
        assert isinstance(container_plugin.ENVIRONMENT, PythonEnvironment), "ENVIRONMENT is not a PythonEnvironment"

    def test_environment_is_locked_by_hash(
        self, declaration: Workload, container_plugin: WorkloadContainerPlugin
    ) -> None:
        """A job runs the same code a year later: each line of the lock has a version and a hash, and it is packed."""
        environment: PythonEnvironment = container_plugin.ENVIRONMENT
        assert re.fullmatch(PYTHON_PATTERN, environment.python), (
            f"{environment.python!r} is not a range such as 3.10-3.14"
        )
        assert environment.gib > 0, "`gib` is 0: write how much disk it needs"
        unhashed = find_unhashed(environment.lock.read_text())
        assert_none(unhashed, "requirements without a hash; write the lock with `uv pip compile --generate-hashes`")
        names = zipfile.ZipFile(io.BytesIO(pack_modules([declaration.container_plugin]).archive)).namelist()
        assert any(environment.lock.as_posix().endswith(f"/{name}") for name in names), (
            "the lock is not packed: put it beside the plugin"
        )


def find_unhashed(lock: str) -> list[str]:
    """Return the requirements of a lock that are not pinned by version and hash."""
    lines = re.sub(r"\\\s*\n", " ", lock).split("\n")
    requirements = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "--"))]
    return [line.split()[0] for line in requirements if not re.search(PINNED_PATTERN, line)]


class WorkloadPlatformTests(WorkloadTestBase):
    """The workload on platforms."""

    yours: ClassVar[tuple[str, ...]] = ("options",)
    options: ClassVar[Mapping[str, Sequence[str]]] = {}

    def test_roles_are_known(self, declaration: Workload) -> None:
        """Source kinds have the roles that exist."""
        assert_none({*declaration.roles} - {*probe.ROLES}, f"the roles are {', '.join(probe.ROLES)}; not")

    def test_missing_input_is_rejected(self, declaration: Workload, probe_plugin: None) -> None:
        """A job without its data is rejected, exit code 2, with what to type."""
        needed = [role for role, rule in declaration.roles.items() if rule.required]
        if not needed:
            pytest.skip("it requires no input")
        result = run_with_probe("render", self.workload)
        errors = select_errors_of(result)
        assert result.exit_code == 2, str(result)
        assert "plugin-failed" not in [one["code"] for one in errors], f"`check` fails without the input: {result}"
        titles = " ".join(one["title"] for one in errors if one["code"] == "source-missing")
        assert_none((role for role in needed if role not in titles), f"the rejection does not name:\n{result}")

    def test_supporting_platforms_render_it(self, declaration: Workload, probe_plugin: None) -> None:
        """On a platform with a yes the job becomes a plan, given the platform's settings."""
        plugins = Plugins()
        kinds = plugins.source_kinds()
        flags = {flag for one in get_parameters(declaration.parameters) for flag in one.flags}
        for name, platform in plugins.platforms().items():
            if not platform.capabilities.workload(declaration.name):
                continue
            words = [*_list_required_inputs(declaration, platform, kinds), *self.options.get(name, ())]
            result = harness.run_command("render", self.workload, "--platform", name, *words, "--json")
            if result.exit_code and name not in self.options:  # problems of its settings do not count
                errors = select_errors_of(result)
                assert not [one for one in errors if one["where"] in flags or "workload" in one["code"]], str(result)
            else:
                assert result.exit_code == 0, str(result)


def _list_required_inputs(declared: Workload, platform: Platform, kinds: Mapping[str, object]) -> Iterator[str]:
    """Yield an example of each required input, of the first kind that the platform accepts."""
    for role, rule in declared.roles.items():
        accepted = platform.capabilities.list_accepted_kinds(role, kinds) if rule.required else []  # type: ignore[arg-type]  # kinds
        for kind in accepted[:1]:
            yield from (kind.roles[role].flag, kind.example)


PRODUCED_EVENTS: Mapping[Produces, str] = {"checkpoints": "checkpoint", "results": "evaluated"}
"""The event of what a run produces."""


class WorkloadRunTests(WorkloadTestBase):
    """A small job that really runs."""

    yours: ClassVar[tuple[str, ...]] = ("runs", "tells")
    tells: ClassVar[Sequence[str]] = ("metrics",)

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """The words of a job that really runs; define it to run one."""
        pytest.skip("there is no fixture `runs`: nothing is run")

    def test_small_job_runs_to_its_end(self, declaration: Workload, runs: Sequence[str]) -> None:
        """The run succeeds, emits its events, and leaves what `produces` declares."""
        here = [one for one in Plugins().platforms().values() if one.capabilities.feature("runs_here")]
        if not here:
            pytest.skip("no installed platform runs jobs on this machine")
        result = harness.run_command("submit", "--platform", here[0].name, "--wait", "--json", self.workload, *runs)
        assert result.exit_code == 0, str(result)
        events = _list_events(here[0], result.json["run"])
        assert_none({*self.tells} - events, f"the run emitted {', '.join(sorted(events))}, but not")
        for produces, one in PRODUCED_EVENTS.items():
            found = f"the run emitted {'an' if one in events else 'no'} event `{one}`"
            expected = declaration.produces == produces
            assert (one in events) == expected, f"`produces` is {declaration.produces!r}, but {found}"


def _list_events(platform: Platform, run: str) -> set[str]:
    """Return the names of the events in the log of a run."""
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

    `workload` is its name. `job` has the words of a complete job on any platform; its sources are local folders, or the
    fixture `data` returns the folder of each. `changed` has another value of a parameter if the kit finds none.
    `unchanged` says, by parameter, why it alone changes nothing. `options` has, by platform, the words that its
    settings need. The fixture `runs` returns the words of a small job that is run on this machine, and `tells` are the
    events that it must emit (`metrics`, `checkpoint`). `public_only` is as in PlatformKit.
    """
