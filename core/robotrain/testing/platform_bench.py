"""The test bench of `PlatformKit`: a platform in its world, the plans it renders, here and in other processes."""

import io
import itertools
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.model.plan import Plan
from robotrain.model.platform import Platform, PlatformEngine
from robotrain.model.reference import Reference
from robotrain.model.run import RunRecord, RunState
from robotrain.model.source import Source, SourceKind
from robotrain.model.support import Support
from robotrain.model.workload import Workload
from robotrain.plugins.discovery import Claim
from robotrain.run_folder import file_names
from robotrain.run_folder.outputs import CHECKPOINTS_FOLDER, OUTPUTS_FOLDER
from robotrain.run_folder.scheduler import SchedulerEngine
from robotrain.store import records
from robotrain.testing import harness
from robotrain.testing.harness import CommandResult, call_in_time
from robotrain.testing.kit_base import SAMPLE_WORKLOAD, KitBase, load_declared

SAMPLE_NOTE = "sent by the kit"


def read_zip(archive: bytes) -> Mapping[str, bytes]:
    """Return the files of a zip archive, by their paths."""
    with zipfile.ZipFile(io.BytesIO(archive)) as zip_archive:
        return {member.filename: zip_archive.read(member) for member in zip_archive.infolist() if not member.is_dir()}


class World:
    """An engine on this machine, from the author's fixture `world`: the real one, or one that rejects the same."""

    options: Sequence[str] = ()
    """The options that a command line needs beside `--platform NAME`."""
    job: Sequence[str] = ()
    """The words of a job that the engine accepts; by default the kit's own."""
    texts: Mapping[str, str] = {}
    """By source kind, a text to try instead of the kind's example."""
    needs: Mapping[str, Sequence[str]] = {}
    """By source kind, feature or workload, the options that it needs; they replace the same among `options`."""
    native_states: Mapping[str, RunState] = {}
    """Every native state of the engine, and what it means."""
    only_native_states: bool = False
    """Whether the engine has no other state in any version."""
    requests: Mapping[str, object] = {}
    """For each option that asks the engine for something, what the engine then has: `{"--gpus=2": "gpu:2"}`."""

    def read_document(self, plan: Plan) -> JobDocument:
        """Return the document after all that the engine does to a plan: by default the plan's `job.json`."""
        path = next((path for path in sorted(plan.files) if path.rpartition("/")[2] == "job.json"), "")
        if not path:
            pytest.fail(f"no job.json among {', '.join(sorted(plan.files))}: write World.read_document", pytrace=False)
        return document.parse_document(plan.files[path].decode())

    def read_payload(self, plan: Plan) -> Mapping[str, bytes]:
        """Return the files of the payload where the runtime starts: by default those of the plan's zip."""
        archive = next((file_bytes for path, file_bytes in sorted(plan.files.items()) if path.endswith(".zip")), b"")
        return read_zip(archive) if archive else {}

    def get_native_name(self, platform: Platform, reference: Reference) -> str:
        """Return the text by which another machine adopts a run: by default the first that is shown of it."""
        shown_texts = [*platform.engine.describe_reference(reference).values()]
        return next((text for text in shown_texts if text), reference.get("folder", ""))

    def count_runs(self, run: str) -> int:
        """Return how many runs of that name the engine was given, ended ones included.

        Of a pipeline whose steps are jobs, `RUN-STEP`, those of the step that has most.
        """
        raise NotImplementedError

    def read_requests(self, reference: Reference) -> Mapping[str, object]:
        """Return what the engine received of a run, by the options of `requests` without their values."""
        raise NotImplementedError

    def set_native_state(self, reference: Reference, native_state: str) -> None:
        """Make the engine report a native state of a run: one of `native_states`, or an unknown one."""
        raise NotImplementedError

    def forget(self, reference: Reference) -> bool:
        """Make the engine forget a run, and its commands fail for it as they do then; by default not tested."""
        return False

    def write_log(self, reference: Reference, *lines: str) -> None:
        """Make a run print lines: by default into the log of its run folder, the `folder` of its reference."""
        with Path(reference["folder"], file_names.LOG_FILE).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def leave_checkpoint(self, reference: Reference, step: int) -> Mapping[str, bytes]:
        """Make a run leave a complete checkpoint, and return its files by their paths: by default in its run folder.

        Without one it returns nothing, and no download is tested.
        """
        if "folder" not in reference:
            return {}
        run = Path(reference["folder"])
        folder = run / OUTPUTS_FOLDER / CHECKPOINTS_FOLDER / f"{step:06}"
        (folder / "model").mkdir(parents=True)
        files = {"model/weights": b"w" * 1000, "state": b"s"}
        for path, file_bytes in files.items():
            (folder / path).write_bytes(file_bytes)
        checkpoint.seal_checkpoint(folder, step=step, run=run.name, job="")
        return files

    def away(self) -> AbstractContextManager[object] | None:
        """Return a block in which the engine does not answer; by default that is not tested."""
        return None

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Yield blocks in each of which the platform's `submit` ends in the middle, by any exception."""
        return iter(())


class Bench:
    """One platform in its world, the `plans` that it has rendered, and the `arguments` of its last `render`."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.plans: list[Plan] = []
        self.arguments: list[Any] = []
        self.plugins, declaration = load_declared("platform", name, *sys.path)
        self.platform: Platform = declaration
        self.engine = self.platform.engine
        self.can = self.platform.capabilities
        self.kinds: Mapping[str, SourceKind] = self.plugins.source_kinds()

    @cached_property
    def workload(self) -> Workload:
        """The kit's own workload if the platform accepts it, else the first that it accepts."""
        for name in (SAMPLE_WORKLOAD, self.plugins.default_workload(), *self.plugins.list_names("workload")):
            if name in self.plugins.list_names("workload") and self.can.workload(name):
                return self.plugins.workload(name)
        pytest.skip(f"{self.name} accepts no installed workload")

    def require_sample_workload(self) -> None:
        """Skip the test if the platform does not accept the kit's own workload."""
        if self.workload.name != SAMPLE_WORKLOAD:
            pytest.skip(f"{self.name} accepts no third-party workload, such as the kit's")

    def make_command(self, command: str, *words: object) -> list[str]:
        """Return the words of a command on the platform, with the world's options that `words` lack."""
        flags = {str(word).partition("=")[0] for word in words}
        options: list[str] = []
        is_dropped = False
        for word in self.world.options:
            is_dropped = word in flags if word.startswith("--") else is_dropped
            options += [] if is_dropped else [word]
        return [command, "--platform", self.name, *options, *map(str, words)]

    def list_set_options(self) -> Iterator[tuple[Parameter, str]]:
        """Yield the settings among the world's options, with their values."""
        by_flag = {parameter.flag: parameter for parameter in get_parameters(self.platform.settings)}
        for flag, value in itertools.pairwise(self.world.options):
            if flag in by_flag:
                yield by_flag[flag], value

    def run_command(self, command: str, *words: object) -> CommandResult:
        """Run a command on the platform."""
        return harness.run_command(*self.make_command(command, *words))

    def complete_words(self, *words: object) -> list[str]:
        """Return the words of a whole job: with a source, if the platform accepts any, and the required inputs."""
        typed_words = [*self.first_source(), *words]
        return [self.workload.name, *self.required_words(self.workload, typed_words), *map(str, typed_words)]

    def render(self, *words: object, workload: Workload | None = None) -> CommandResult:
        """Run `render --json` of a workload's job, with examples of the required inputs that `words` lack."""
        chosen_workload = workload or self.workload
        command = ("--", "true") if chosen_workload.own_command else ()
        return self.run_command(
            "render", "--json", chosen_workload.name, *self.required_words(chosen_workload, words), *words, *command
        )

    def render_plan(self, *words: object) -> Plan:
        """Render a whole job and return the plan; the test fails if it is rejected."""
        self.run_command("render", "--json", *self.complete_words(*words)).require("the job must be rendered")
        return self.plans[-1]

    def first_source(self, *roles: str) -> list[str]:
        """Return the words of a source that the platform accepts in one of the roles, by default any."""
        accepted_kinds = (
            (role, self.can.list_accepted_kinds(role, self.kinds)) for role in roles or self.workload.roles
        )
        words = (
            self.source_word(role, kind) for role, kinds in accepted_kinds for kind in kinds if self.example_text(kind)
        )
        return [*itertools.islice(words, 1)]

    def source_word(self, role: str, kind: SourceKind) -> str:
        """Return the option of a kind in a role, with the kind's example."""
        return f"{kind.roles[role].flag}={self.example_text(kind)}"

    def required_words(self, workload: Workload, chosen_words: Iterable[object]) -> list[str]:
        """Return the words for the inputs that the workload requires and `chosen_words` does not have."""
        words: list[str] = []
        for role, rule in workload.roles.items():
            flags = {kind.roles[role].flag for kind in self.kinds.values() if role in kind.roles}
            if (rule.required or rule.typical) and not flags & {str(word).partition("=")[0] for word in chosen_words}:
                words += self.first_source(role) or pytest.skip(f"{self.name} accepts no {role} with an example")
        return words

    def list_kind_options(self, *kinds: SourceKind) -> list[str]:
        """Return the further options that sources of these kinds need on the platform."""
        needs = self.world.needs
        word_groups = [tuple(needs.get(kind.name, needs.get(kind.requires, ()))) for kind in kinds]
        return [word for words in dict.fromkeys(word_groups) for word in words]

    def example_text(self, kind: SourceKind) -> str:
        """Return a text of a kind to try; empty if neither the world nor the kind has one, or it is fetched before."""
        return "" if kind.fetch_here else self.world.texts.get(kind.name, kind.example)

    def parse_source(self, role: str, kind: SourceKind) -> Source:
        """Return the source that the example of a kind is parsed to: several kinds may share the flag."""
        example = self.example_text(kind)
        sharing_kinds = [
            other_kind for other_kind in self.kinds.values() if other_kind.roles.get(role) == kind.roles[role]
        ]
        return next(
            (other_kind for other_kind in sharing_kinds if other_kind.recognizes(example)), sharing_kinds[0]
        ).parse(example, Path.cwd())

    def submit(self, *words: object) -> CommandResult:
        """Run `submit` of the world's job, or else of the kit's."""
        note = ("--kit-note", SAMPLE_NOTE) if self.workload.name == SAMPLE_WORKLOAD else ()
        job = self.world.job or (self.workload.name, *self.required_words(self.workload, ()), *note)
        return self.run_command("submit", "--no-pin", *words, *job)

    def submit_job(self, *words: object) -> RunRecord:
        """Submit the world's job as a new run, and return its record."""
        submitted = self.submit("--new", "--json", *words).require("the job must be submitted")
        return records.read_record(submitted.json["run"])

    def find_native_state(self, *states: RunState) -> str:
        """Return a native state of the world that means one of these; empty if it has none."""
        return next((native_state for native_state, state in self.world.native_states.items() if state in states), "")

    def start_run(self, run: RunRecord) -> None:
        """Make the engine report that a run is running, if the world has a word for that."""
        if native_state := self.find_native_state("running"):
            self.world.set_native_state(run.reference, native_state)

    def require_feature(self, name: str) -> None:
        """Skip the test if the platform does not declare a feature."""
        if not self.can.feature(name):
            pytest.skip(f"{self.name} does not declare {name}")

    def require_scheduler(self) -> SchedulerEngine:
        """Return the engine; skip the test if it is no scheduler."""
        return self.engine if isinstance(self.engine, SchedulerEngine) else pytest.skip(f"{self.name} is no scheduler")

    def run_for(self, command: str, run: str) -> CommandResult:
        """Run a command about a run, with `--json` if it has that."""
        return call_in_time(command, harness.run_command, command, run, *([] if command == "logs" else ["--json"]))

    def compare_support(self, subject: str, support: Support, result: CommandResult) -> Iterator[str]:
        """Yield a sentence unless a yes is accepted, and anything else rejected: exit code 3, and its name."""
        names_platform = any(self.name in error["title"] for error in result.errors)
        if result.exit_code != (0 if support else 3) or not (support or names_platform):
            yield f"{subject} is declared {support.level}, but exit code {result.exit_code}: {result.output}"

    def compare_count(self, run: str, expected_count: int, time_text: str = "") -> Iterator[str]:
        """Yield a sentence unless the engine has as many runs of that name as expected."""
        count = self.world.count_runs(run)
        if count != expected_count:
            yield f"the engine has {count} runs named {run}, not {expected_count}{time_text}"

    def wrap_method(self, name: str, wrapper: Callable[..., Any]) -> AbstractContextManager[object]:
        """Return a block in which `wrapper(method, arguments)` is called in place of a method of plans or engine."""
        part = self.engine if hasattr(PlatformEngine, name) else self.platform.plans
        original_method: Any = getattr(part, name)

        def method(part: Any, *args: Any, **kwargs: Any) -> Any:
            return wrapper(original_method, [*args, *kwargs.values()])

        return mock.patch.object(type(part), name, method)

    def record_plan(self, render: Callable[..., Plan], arguments: list[Any]) -> Plan:
        """Call `render`, and keep its arguments and the plan."""
        self.arguments = arguments
        self.plans.append(render(*arguments))
        return self.plans[-1]


RENDER_PROGRAM = """
import datetime, json, platform, socket, sys, time
place = json.load(open(sys.argv[1]))
now = time.time
time.time = lambda: now() + place["shift"]
class Later(datetime.datetime):
    now = classmethod(lambda cls, tz=None: cls.fromtimestamp(time.time(), tz))
datetime.datetime = Later
socket.gethostname = socket.getfqdn = platform.node = lambda *name: place["host"]

from typer.testing import CliRunner
from robotrain.cli.app import app
result = CliRunner().invoke(app, place["words"])
assert result.exit_code == 0, result.output
json.dump(json.loads(result.stdout), open(sys.argv[1], "w"))
"""
ONE_HOST = {"seed": "1", "shift": 0, "TZ": "Pacific/Auckland", "COLUMNS": "60", "host": "kit-1"}
OTHER_HOST = {"seed": "4", "shift": 40 * 86400, "TZ": "America/New_York", "COLUMNS": "200", "host": "kit-2"}


def render_elsewhere(bench: Bench, folder: Path, **host: Any) -> dict[str, Any]:
    """Render a job in another process, of another user, host and time, and return the plan as data."""
    folder.mkdir()
    request = folder / "request.json"
    words = bench.make_command("render", "--json", *bench.complete_words())
    request.write_text(json.dumps({**host, "words": words}))
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        **{name: host[name] for name in ("TZ", "COLUMNS")},
        **dict.fromkeys(("USER", "LOGNAME", "USERNAME"), f"kit-{folder.name}"),
        **dict.fromkeys(("HOME", "USERPROFILE"), str(folder)),
        "PYTHONHASHSEED": host["seed"],
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    program = [sys.executable, "-c", RENDER_PROGRAM, str(request)]
    render_process = subprocess.run(program, cwd=folder, env=environ, capture_output=True, text=True)
    if render_process.returncode:
        pytest.fail(
            f"the job cannot be rendered in another process:\n{render_process.stdout}{render_process.stderr}",
            pytrace=False,
        )
    plan: dict[str, Any] = json.loads(request.read_text())
    return plan


class PlatformTestBase(KitBase):
    """The base of all test classes of PlatformKit; `platform` is the platform's name."""

    platform: ClassVar[str]

    @pytest.fixture
    def kit_claim(self, bench: Bench) -> Claim:
        """The claim of the platform, which its world may have installed."""
        return next(
            claim for claim in bench.plugins.claims if (claim.family, claim.name) == ("platform", self.platform)
        )

    @pytest.fixture
    def bench(self, kit_folders: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        """The platform in its world, with an empty cache."""
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(kit_folders.parent / "cache"))
        bench = Bench(self.platform, world)
        with bench.wrap_method("render", bench.record_plan):
            yield bench
