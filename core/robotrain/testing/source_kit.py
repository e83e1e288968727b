"""`SourceKit`, the conformance kit of source kinds: rendering, packing, fetching and pinning."""

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

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

from robotrain.model.source import SourceKind
from robotrain.testing.harness import compare, no_side_effects, report
from robotrain.testing.kit_base import ROLES, SAMPLE_WORKLOAD, find_outside_imports, run_on_probe
from robotrain.testing.source_parsing import BASE_FOLDER, SourceTextTests

MIN_SENTENCE = 20
"""A sentence is longer than this: `404` is not one."""
Fetch = Callable[..., dict[str, bytes]]


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


class SourceKit(SourceTextTests):
    """The standard tests of a source kind, as in docs/plugins.md.

    `kind` is its name. `good` has texts that name a source, each with its printed form; relative names start from
    `/work`. `bad` has texts that people type and that name none. The fixture `served` returns a source that can be
    fetched (`robotrain.testing.Served`); without it nothing is fetched. `public_only` is as in PlatformKit.
    """

    def test_flags_and_saved_job_agree(self, declaration: SourceKind) -> Iterator[str]:
        """What is typed reaches the document unchanged and in order, and so does the job file that it is saved to."""
        source = declaration.parse(declaration.example, BASE_FOLDER)
        typed = [word for flag in declaration.roles.values() for word in (flag.flag, declaration.example)]
        expected = [(role, source.kind, str(source)) for role in ROLES if role in declaration.roles]
        for what, words in (("flags", (SAMPLE_WORKLOAD, *typed, "--save-as", "job.yaml")), ("job file", ("job.yaml",))):
            result = run_on_probe("render", *words).require(f"a job with the example, from the {what}, is rejected")
            sources = json.loads(result.json["files"]["job.json"]["text"])["sources"]
            found = [(one["role"], one["kind"], one["uri"]) for one in sources]
            yield from compare(f"the document has other sources than the {what}", found, expected)

    def test_container_plugin_is_complete(self, declaration: SourceKind, tmp_path: Path) -> Iterator[str]:
        """Any image may run it: it needs the standard library alone. It fetches its sources, or names what does."""
        if not (module := declaration.container_plugin):
            pytest.skip("it has no container plugin")
        yield from find_outside_imports(tmp_path, *filter(None, [module, declaration.target]))
        plugin, names = load_container_plugin(module, SourceContainerPlugin), {"preflight", "fetch"}
        if plugin.CARRIER:
            module, names = plugin.CARRIER, {"deliver"}
        yield from report(f"{module} has no", sorted(names - {*vars(importlib.import_module(module))}))

    def test_target_is_complete(self, declaration: SourceKind) -> Iterator[str]:
        """A target has `open` and ENVIRONMENT; `normalize` is pure, and `inspect` asks nobody without a Python."""
        if not declaration.target:
            pytest.skip("it is not a publish target")
        target = load_container_plugin(declaration.target, TargetContainerPlugin)
        yield from report(f"{declaration.target} has no", sorted({"ENVIRONMENT", "open"} - {*vars(target)}))
        if not isinstance(getattr(target, "ENVIRONMENT", None), PythonEnvironment):
            yield "`ENVIRONMENT` is not a robotrain_runtime.plugin.PythonEnvironment"
        with no_side_effects():
            foreign = target.normalize("elsewhere://of/another/kind")
            address = target.normalize(declaration.example)
            again = target.normalize(address)
            inspected = target.inspect(address, ContainerContext(cache=BASE_FOLDER))
        yield from compare("`normalize` returns for an address of another kind", foreign, "")
        yield from compare("`normalize` returns for its own form of the example", again, address or "a normal form")
        yield from compare("`inspect` returns without a `place.python`", inspected, TargetInspection())

    @pytest.fixture
    def served(self) -> Served:
        """A source that can be fetched; define it to fetch one."""
        pytest.skip("there is no fixture `served`: nothing is fetched")

    @pytest.fixture
    def fetch(self, declaration: SourceKind, served: Served, tmp_path: Path) -> Fetch:
        """A function that returns the files of a text's source, fetched as the runtime does. It raises OSError."""

        def fetch(text: str = served.text, pin: str = "") -> dict[str, bytes]:
            uri = str(declaration.parse(text, Path("/")))
            source = JobSource(role=cast(RoleName, served.role), kind=declaration.name, uri=uri, pin=pin)
            place = ContainerContext(cache=tmp_path / "cache", python=served.python, **served.place)
            return _read_files(_fetch_source(declaration, source, place))

        return fetch

    def test_all_files_are_fetched_unchanged(self, served: Served, fetch: Fetch) -> Iterator[str]:
        """The fetched files are those of the source, byte for byte; from the cache as well."""
        yield from compare_files("fetched", fetch(), served.files)
        yield from compare_files("fetched the second time, from the cache", fetch(), served.files)

    def test_missing_source_is_reported(self, served: Served, fetch: Fetch) -> Iterator[str]:
        """A run that cannot read its data ends at once, with a sentence."""
        if not served.missing:
            pytest.skip("`served` has no `missing`")
        try:
            fetch(served.missing)
            yield f"`fetch` raises nothing for {served.missing}, which does not exist: raise OSError"
        except OSError as error:
            if len(str(error)) <= MIN_SENTENCE:
                yield f"{str(error)!r} is not a sentence: say what is missing, and where"

    def test_interrupted_fetch_is_not_taken_as_complete(self, served: Served, fetch: Fetch) -> Iterator[str]:
        """An interrupted fetch leaves nothing that looks complete, and the next one fetches all of it."""
        if served.cut is None:
            pytest.skip("`served` has no `cut`")
        with served.cut(), contextlib.suppress(OSError):
            fetch()
            yield "an interrupted fetch raised nothing: raise OSError"
        yield from compare_files("fetched after an interrupted fetch", fetch(), served.files)

    def test_pin_identifies_the_content(self, declaration: SourceKind, served: Served, fetch: Fetch) -> Iterator[str]:
        """A pin is a digest or a commit; a pinned job reads what it was pinned to, or reports that it is gone."""
        pinning, source, role = declaration.pinning, declaration.parse(served.text, BASE_FOLDER), served.role
        if pinning is None:
            pytest.skip("it declares no pinning")
        pin, again = (pinning.resolve(source, role) for _ in range(2))
        yield from compare("`resolve` returned another pin for the same content", again, pin or "a pin")
        yield from report("`find_loss` reports a loss", filter(None, [pinning.find_loss(source, role, pin)]))
        yield from report("`find_missing` reports existing files", pinning.find_missing(source, role, [*served.files]))
        yield from compare_files("fetched by the pin", fetch(pin=pin), served.files)
        if served.change is not None:
            served.change()
            if pinning.resolve(source, role) == pin:
                yield f"`resolve` returned the same pin for other content: {pin}"
            with contextlib.suppress(OSError):
                yield from compare_files("fetched by the pin of the content before", fetch(pin=pin), served.files)


def _fetch_source(kind: SourceKind, source: JobSource, place: ContainerContext) -> Path:
    """Return the folder of a source, fetched as the runtime does. Raise OSError."""
    plugin = load_container_plugin(kind.container_plugin, SourceContainerPlugin)
    if not plugin.CARRIER:
        if problems := [*plugin.preflight(source, place)]:
            raise OSError("; ".join(problems))
        return plugin.fetch(source, place)
    fetcher = load_container_plugin(plugin.CARRIER, BatchFetcher)
    with closing(fetcher.deliver([source], {source.kind: plugin}, place, {})) as batch:
        try:
            if problems := [problem for survey in batch.survey() for problem in survey.problems]:
                raise OSError("; ".join(problems))
            return batch.fetch(lambda download: None)[source]
        except JobFailed as failed:
            raise OSError(str(failed)) from failed


def _read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def compare_files(what: str, found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a sentence with the paths of files that are missing, changed or too many."""
    wrong = (path for path in sorted({*found, *expected}) if found.get(path) != expected.get(path))
    yield from report(f"these files are missing, changed or too many, {what}", wrong)
