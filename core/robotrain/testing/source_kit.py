"""`SourceKit`, the conformance kit of source kinds: rendering, packing, fetching and pinning."""

import contextlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

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

from robotrain.model.source import Pinning, SourceKind
from robotrain.testing import probe
from robotrain.testing.harness import assert_none, no_side_effects
from robotrain.testing.kit_base import assert_imports_alone
from robotrain.testing.probe import run_with_probe
from robotrain.testing.source_parsing import (
    BASE_FOLDER,
    SourceDeclarationTests,
    SourceTestBase,
    SourceTextTests,
)


class SourceContainerTests(SourceTestBase):
    """The example from the command line to the document, the container plugin and the publish target."""

    def test_flags_and_saved_job_agree(self, declaration: SourceKind, probe_plugin: None) -> None:
        """What is typed reaches the document unchanged and in order, and so does the job file that it is saved to."""
        source = declaration.parse(declaration.example, BASE_FOLDER)
        words = [word for flag in declaration.roles.values() for word in (flag.flag, declaration.example)]
        expected = [(role, source.kind, str(source)) for role in probe.ROLES if role in declaration.roles]
        assert _render_sources(probe.PROBE_NAME, *words, "--save-as", "job.yaml") == expected
        assert _render_sources("job.yaml") == expected

    def test_packed_modules_need_only_the_standard_library(self, declaration: SourceKind, tmp_path: Path) -> None:
        """Any image may run them: they import the standard library, robotrain_runtime and their own package."""
        modules = [module for module in (declaration.container_plugin, declaration.target) if module]
        if not modules:
            pytest.skip("it has no container plugin")
        assert_imports_alone(tmp_path, *modules)

    def test_container_plugin_is_complete(self, declaration: SourceKind) -> None:
        """A container plugin fetches its sources itself, or names the module that does."""
        if not declaration.container_plugin:
            pytest.skip("it has no container plugin")
        plugin = load_container_plugin(declaration.container_plugin, SourceContainerPlugin)
        if plugin.CARRIER:
            fetcher = load_container_plugin(plugin.CARRIER, BatchFetcher)
            assert "deliver" in vars(fetcher), f"{plugin.CARRIER} has no `deliver`; write it, or leave CARRIER out"
        else:
            assert_none({"preflight", "fetch"} - {*vars(plugin)}, f"{declaration.container_plugin} has no")

    def test_target_is_complete(self, declaration: SourceKind) -> None:
        """A target has `open` and ENVIRONMENT; `normalize` is pure, and `inspect` asks nobody without a Python."""
        if not declaration.target:
            pytest.skip("it is not a publish target")
        target = load_container_plugin(declaration.target, TargetContainerPlugin)
        assert_none({"ENVIRONMENT", "open"} - {*vars(target)}, f"{declaration.target} has no")
        assert isinstance(target.ENVIRONMENT, PythonEnvironment), "`ENVIRONMENT` is not a PythonEnvironment"
        with no_side_effects():
            assert target.normalize("elsewhere://of/another/kind") == "", "`normalize` accepts another kind"
            address = target.normalize(declaration.example)
            assert target.normalize(address) == address != "", "`normalize` has no stable form for the example"
            assert target.inspect(address, ContainerContext(cache=BASE_FOLDER)) == TargetInspection()


def _render_sources(*words: str) -> list[tuple[str, str, str]]:
    """Return role, kind and printed form of each source in the document of a rendered job."""
    result = run_with_probe("render", *words)
    assert result.exit_code == 0, str(result)
    sources = json.loads(result.json["files"][probe.DOCUMENT_NAME]["text"])["sources"]
    return [(one["role"], one["kind"], one["uri"]) for one in sources]


MIN_SENTENCE = 20
"""A sentence is longer than this: `404` is not one."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A source that can be fetched on this machine, which the author's fixture `served` returns."""

    text: str
    """What a user types."""
    files: Mapping[str, bytes]
    """Its files, by path."""
    role: str = "dataset"
    missing: str = ""
    """A text that names nothing there."""
    cut: Callable[[], AbstractContextManager[object]] | None = None
    """A block in which the connection breaks in the middle."""
    change: Callable[[], object] | None = None
    """Replaces the content."""
    python: Path | None = None
    """The Python of the environment that the plugin declares."""
    place: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `ContainerContext`."""


Fetch = Callable[..., Path]


class SourceFetchTests(SourceTestBase):
    """The source of the fixture `served`, and its pins if the kind declares `pinning`."""

    yours: ClassVar[tuple[str, ...]] = ("served",)

    @pytest.fixture
    def served(self) -> Served:
        """A source that can be fetched; define it to fetch one."""
        pytest.skip("there is no fixture `served`: nothing is fetched")

    @pytest.fixture
    def fetch(self, declaration: SourceKind, served: Served, tmp_path: Path) -> Fetch:
        """A function that returns the folder of a text's source, fetched as the runtime does. It raises OSError."""

        def fetch(text: str = served.text, pin: str = "", cache: str = "cache") -> Path:
            uri = str(declaration.parse(text, Path("/")))
            source = JobSource(role=cast(RoleName, served.role), kind=declaration.name, uri=uri, pin=pin)
            place = ContainerContext(cache=tmp_path / cache, python=served.python, **served.place)
            plugin = load_container_plugin(declaration.container_plugin, SourceContainerPlugin)
            if not plugin.CARRIER:
                for problem in plugin.preflight(source, place):
                    raise OSError(problem)
                return plugin.fetch(source, place)
            fetcher = load_container_plugin(plugin.CARRIER, BatchFetcher)
            with closing(fetcher.deliver([source], {source.kind: plugin}, place, {})) as batch:
                try:
                    for survey in batch.survey():
                        if survey.problems:
                            raise OSError("; ".join(survey.problems))
                    return batch.fetch(lambda download: None)[source]
                except JobFailed as failed:
                    raise OSError(str(failed)) from failed

        return fetch

    @pytest.fixture
    def pinning(self, declaration: SourceKind) -> Pinning:
        """The functions that pin it."""
        return declaration.pinning or pytest.skip("it declares no pinning")

    def test_all_files_are_fetched_unchanged(self, served: Served, fetch: Fetch) -> None:
        """The fetched files are those of the source, byte for byte; from the cache as well."""
        assert _read_files(fetch()) == served.files
        assert _read_files(fetch()) == served.files, "the second time, from the cache"

    def test_missing_source_is_reported(self, served: Served, fetch: Fetch) -> None:
        """A run that cannot read its data ends at once, with a sentence."""
        if not served.missing:
            pytest.skip("`served` has no `missing`")
        with pytest.raises(OSError) as caught:
            fetch(served.missing)
        assert len(str(caught.value)) > MIN_SENTENCE, f"{str(caught.value)!r} is not a sentence"

    def test_interrupted_fetch_is_not_taken_as_complete(self, served: Served, fetch: Fetch, tmp_path: Path) -> None:
        """An interrupted fetch leaves nothing that looks complete, and the next one fetches all of it."""
        if served.cut is None:
            pytest.skip("`served` has no `cut`")
        left = tmp_path / "cache" / fetch(cache="other").relative_to(tmp_path / "other")
        with served.cut(), pytest.raises(OSError):
            fetch()
        assert not left.exists() or _read_files(left) == {}, f"{left} exists, but is not complete"
        assert _read_files(fetch()) == served.files

    def test_same_content_has_the_same_pin(
        self, declaration: SourceKind, pinning: Pinning, served: Served, fetch: Fetch
    ) -> None:
        """A pin is a digest or a commit; what it pins is there, and is fetched by it."""
        source = declaration.parse(served.text, BASE_FOLDER)
        pin = pinning.resolve(source, served.role)
        assert pin, "`resolve` returned an empty pin"
        assert pinning.resolve(source, served.role) == pin, "the same content has another pin"
        assert pinning.find_loss(source, served.role, pin) == ""
        assert_none(pinning.find_missing(source, served.role, [*served.files]), "`find_missing` reports existing files")
        assert _read_files(fetch(pin=pin)) == served.files

    def test_changed_content_has_another_pin(
        self, declaration: SourceKind, pinning: Pinning, served: Served, fetch: Fetch
    ) -> None:
        """A pinned job reads what it was pinned to, or reports that it is no longer there."""
        if served.change is None:
            pytest.skip("`served` has no `change`")
        source = declaration.parse(served.text, BASE_FOLDER)
        pin = pinning.resolve(source, served.role)
        served.change()
        assert pinning.resolve(source, served.role) != pin, "other content has the same pin"
        with contextlib.suppress(OSError):
            assert _read_files(fetch(pin=pin)) == served.files


def _read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class SourceKit(
    SourceDeclarationTests,
    SourceTextTests,
    SourceContainerTests,
    SourceFetchTests,
):
    """The standard tests of a source kind. In a test file of your distribution, which is installed::

        class TestS3(SourceKit):
            kind = "s3"
            good: ClassVar = {"s3://bucket/episodes/": "s3://bucket/episodes"}
            bad = ("s3://", "https://s3.amazonaws.com/bucket")

            @pytest.fixture
            def served(self, server):
                return Served(text="s3://bucket/episodes", files=server.files)

    `kind` is its name. `good` has texts that name a source, each with its printed form; relative names start from
    `/work`. `bad` has texts that people type and that name none. The fixture `served` returns a source that can be
    fetched (`robotrain.testing.Served`); without it nothing is fetched. `public_only` is as in PlatformKit.
    """
