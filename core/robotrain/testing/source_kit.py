"""`SourceKit`, the conformance kit of source kinds: rendering, packing, fetching and pinning."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import pytest
from robotrain_runtime.contract.container_plugin import (
    BatchFetcher,
    ContainerContext,
    PythonEnvironment,
    SourceContainerPlugin,
    TargetContainerPlugin,
    TargetInspection,
)
from robotrain_runtime.contract.document import JobSource, RoleName
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain.config.sources import list_source_variables
from robotrain.model.source import Pinning, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.testing import harness, probe
from robotrain.testing.fixtures import Served
from robotrain.testing.harness import no_side_effects
from robotrain.testing.import_rules import assert_imports_alone
from robotrain.testing.source_parsing import (
    BASE_FOLDER,
    SourceDeclarationTests,
    SourceRefusalTests,
    SourceTestBase,
    SourceTextTests,
)

JOB_FILE = "job.yaml"
SourceRow = tuple[str, str, str]
"""Role, kind and printed form."""


class SourceJourneyTests(SourceTestBase):
    """Of the example, in each of its roles."""

    def test_flags_and_saved_job_agree(self, declaration: SourceKind, probe_plugin: None) -> None:
        """What is typed reaches the container unchanged and in order, and so does the file that it is saved to."""
        typed = _render_sources(*_role_words(declaration), "--save-as", JOB_FILE)
        assert typed == _expected_rows(declaration)
        assert _render_sources(JOB_FILE) == typed

    def test_environment_names_agree_with_flags(
        self, declaration: SourceKind, probe_plugin: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A flag has names in the environment: robotrain's own, and those that the kind declares."""
        for names in _list_env_names(declaration):
            with monkeypatch.context() as said:
                for name in names:
                    said.setenv(name, declaration.example)
                assert _render_sources() == _expected_rows(declaration), f"said with {', '.join(names)}"

    def test_platform_that_accepts_any_kind_renders_it(self, declaration: SourceKind, probe_plugin: None) -> None:
        """`ANY` in a platform's declaration means strangers' kinds: on this machine nothing else has to be said."""
        if not declaration.container_plugin:
            pytest.skip("nothing of it acts in the container: a platform has to mount it")
        platforms = Plugins().platforms().values()
        here = [platform for platform in platforms if platform.capabilities.feature("runs_here")]
        for platform in here:
            roles = [role for role in declaration.roles if platform.capabilities.source(role, declaration)]
            if roles:
                assert _render_sources(*_role_words(declaration, roles), platform=platform.name) == _expected_rows(
                    declaration, roles
                )


def _render_sources(*words: str, platform: str = probe.PROBE_NAME) -> list[SourceRow]:
    """The sources in the document that a job is rendered to."""
    workload = () if JOB_FILE in words[:1] else (probe.PROBE_NAME,)
    to = tempfile.mkdtemp(dir=".")
    answer = harness.run_command("render", *workload, *words, "--platform", platform, "--to", to)
    assert answer.exit_code == 0, str(answer)
    (document,) = Path(to).rglob(probe.DOCUMENT_NAME)
    return [(one["role"], one["kind"], one["uri"]) for one in json.loads(document.read_text())["sources"]]


def _role_words(kind: SourceKind, roles: Iterable[str] = ()) -> list[str]:
    """The example in each role."""
    chosen = {role: flag for role, flag in kind.roles.items() if role in (roles or kind.roles)}
    return [word for flag in chosen.values() for word in (flag.flag, kind.example)]


def _expected_rows(kind: SourceKind, roles: Iterable[str] = ()) -> list[SourceRow]:
    """In the order of the roles, each as its printed form."""
    source = kind.parse(kind.example, BASE_FOLDER)
    return sorted(
        [(role, source.kind, str(source)) for role in (roles or kind.roles)], key=lambda one: probe.ROLES.index(one[0])
    )


def _list_env_names(kind: SourceKind) -> Iterator[list[str]]:
    """A name for each role; as often as any of them has names."""
    found = [list_source_variables(flag) for flag in kind.roles.values()]
    for number in range(max(map(len, found))):
        yield [names[min(number, len(names) - 1)] for names in found]


class SourceContainerTests(SourceTestBase):
    """Of the modules that the declaration names."""

    def test_packed_modules_need_only_the_standard_library(self, declaration: SourceKind, tmp_path: Path) -> None:
        """The image is a stranger's: a half imports the standard library, robotrain_runtime and what lies beside it."""
        modules = [module for module in (declaration.container_plugin, declaration.target) if module]
        if not modules:
            pytest.skip("nothing of it acts in the container")
        assert_imports_alone(tmp_path, *modules)

    def test_container_plugin_is_complete(self, declaration: SourceKind) -> None:
        """A container plugin fetches its sources itself, or names the module that does."""
        if not declaration.container_plugin:
            pytest.skip("nothing of it acts in the container")
        plugin = load_container_plugin(declaration.container_plugin, SourceContainerPlugin)
        if plugin.CARRIER:
            fetcher = load_container_plugin(plugin.CARRIER, BatchFetcher)
            assert "deliver" in vars(fetcher), f"{plugin.CARRIER} has no `deliver`"
        else:
            assert {"preflight", "fetch"} <= {*vars(plugin)}, "it has no `preflight` or no `fetch`"

    def test_target_is_complete(self, declaration: SourceKind) -> None:
        """A place to write to: `normal`, `look` and `open`, and the ENVIRONMENT to work in. Every address of a job is
        shown to `normal`; `look` asks nobody while there is no Python.
        """
        if not declaration.target:
            pytest.skip("it is no place to write to")
        target = load_container_plugin(declaration.target, TargetContainerPlugin)
        assert {"ENVIRONMENT", "open"} <= {*vars(target)}, "it has no `ENVIRONMENT` or no `open`"
        assert isinstance(target.ENVIRONMENT, PythonEnvironment), "`ENVIRONMENT` is no PythonEnvironment"
        with no_side_effects():
            assert target.normalize("elsewhere://of/another/kind") == ""
            address = target.normalize(declaration.example)
            assert target.normalize(address) == address != ""
            assert target.inspect(address, ContainerContext(cache=BASE_FOLDER)) == TargetInspection()


MIN_SENTENCE = 20
"""A sentence has more letters than this: `404` is none."""


class SourceFetchTests(SourceTestBase):
    """Of the source that the fixture `served` brings up."""

    yours: ClassVar[tuple[str, ...]] = ("served",)

    @pytest.fixture
    def served(self) -> Served:
        """A place that holds a source; yours to define."""
        pytest.skip("there is no fixture `served`: nothing is fetched")

    @pytest.fixture
    def place(self, served: Served, tmp_path: Path) -> ContainerContext:
        """Where the half works."""
        return ContainerContext(cache=tmp_path / "cache", python=served.python, **served.place)

    def test_all_files_are_fetched_unchanged(
        self, declaration: SourceKind, served: Served, place: ContainerContext
    ) -> None:
        """What was recorded is what is trained on: the same files with the same bytes; a second time as well."""
        source = make_source(declaration, served, served.text)
        assert read_files(fetch_source(declaration, source, place)) == served.files
        assert read_files(fetch_source(declaration, source, place)) == served.files, "the second time, from the cache"

    def test_missing_source_is_reported(self, declaration: SourceKind, served: Served, place: ContainerContext) -> None:
        """A run that cannot read its data ends at once, with words for the person who wrote the name."""
        if not served.missing:
            pytest.skip("`served` has no `missing`")
        with pytest.raises(OSError) as caught:
            fetch_source(declaration, make_source(declaration, served, served.missing), place)
        assert len(str(caught.value)) > MIN_SENTENCE, f"{str(caught.value)!r} is no sentence"

    def test_interrupted_fetch_is_not_taken_as_complete(
        self, declaration: SourceKind, served: Served, place: ContainerContext, tmp_path: Path
    ) -> None:
        """A fetch that was interrupted leaves nothing that looks complete, and the next one brings all of it."""
        if served.cut is None:
            pytest.skip("`served` has no `cut`")
        source = make_source(declaration, served, served.text)
        whole = fetch_source(declaration, source, replace(place, cache=tmp_path / "other"))
        with served.cut(), pytest.raises(OSError):
            fetch_source(declaration, source, place)
        left = place.cache / whole.relative_to(tmp_path / "other")
        assert not left.exists() or read_files(left) == {}, f"{left} is there, though it is not whole"
        assert read_files(fetch_source(declaration, source, place)) == served.files


def make_source(kind: SourceKind, served: Served, text: str, pin: str = "") -> JobSource:
    """The source of a text, as a document holds it."""
    return JobSource(role=cast(RoleName, served.role), kind=kind.name, uri=str(kind.parse(text, Path("/"))), pin=pin)


def fetch_source(kind: SourceKind, source: JobSource, place: ContainerContext) -> Path:
    """The folder of a source, looked at and fetched as the runtime does. Raises OSError."""
    plugin = load_container_plugin(kind.container_plugin, SourceContainerPlugin)
    if plugin.CARRIER:
        return _fetch_in_batch(load_container_plugin(plugin.CARRIER, BatchFetcher), plugin, source, place)
    for problem in plugin.preflight(source, place):
        raise OSError(problem)
    return plugin.fetch(source, place)


def read_files(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _fetch_in_batch(
    fetcher: BatchFetcher, plugin: SourceContainerPlugin, source: JobSource, place: ContainerContext
) -> Path:
    with closing(fetcher.deliver([source], {source.kind: plugin}, place, {})) as batch:
        try:
            for survey in batch.survey():
                if survey.problems:
                    raise OSError("; ".join(survey.problems))
            return batch.fetch(lambda download: None)[source]
        except JobFailed as failed:
            raise OSError(str(failed)) from failed


class SourcePinTests(SourceFetchTests):
    """Of a kind that declares how it is pinned."""

    @pytest.fixture
    def pinning(self, declaration: SourceKind) -> Pinning:
        """How it is pinned."""
        if declaration.pinning is None:
            pytest.skip("its names mean the same for ever: it declares no pinning")
        return declaration.pinning

    def test_same_content_has_the_same_pin(
        self, declaration: SourceKind, pinning: Pinning, served: Served, place: ContainerContext
    ) -> None:
        """A pin is a digest or a commit, not a moment; what has it is there, and is fetched by it."""
        source = declaration.parse(served.text, BASE_FOLDER)
        pin = pinning.resolve(source, served.role)
        assert pin
        assert pinning.resolve(source, served.role) == pin
        assert pinning.find_loss(source, served.role, pin) == ""
        assert list(pinning.find_missing(source, served.role, [*served.files])) == []
        assert (
            read_files(fetch_source(declaration, make_source(declaration, served, served.text, pin), place))
            == served.files
        )

    def test_changed_content_has_another_pin(
        self, declaration: SourceKind, pinning: Pinning, served: Served, place: ContainerContext
    ) -> None:
        """A job that was pinned trains on what it was pinned to, or says that it is not there any more."""
        if served.change is None:
            pytest.skip("`served` has no `change`")
        source = declaration.parse(served.text, BASE_FOLDER)
        pin = pinning.resolve(source, served.role)
        served.change()
        assert pinning.resolve(source, served.role) != pin
        try:
            brought = fetch_source(declaration, make_source(declaration, served, served.text, pin), place)
        except OSError:
            return
        assert read_files(brought) == served.files


class SourceKit(
    SourceDeclarationTests,
    SourceTextTests,
    SourceRefusalTests,
    SourceJourneyTests,
    SourceContainerTests,
    SourcePinTests,
):
    """The standard tests of a source kind. In a test file of your distribution, which is installed::

        class TestS3(SourceKit):
            kind = "s3"
            good: ClassVar = {"s3://bucket/episodes/": "s3://bucket/episodes"}
            bad = ("s3://", "https://s3.amazonaws.com/bucket")

            @pytest.fixture
            def served(self, server):
                return Served(text="s3://bucket/episodes", files=server.files)

    kind: its name. good: texts that name a source, with their printed form; relative names start from `/work`. bad:
    texts that people type and that name none. served: a fixture with a place that really holds a source
    (`robotrain.testing.Served`); without it nothing is fetched. public_only: as of PlatformKit.
    """
