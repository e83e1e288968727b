"""`SourceKit`, the conformance kit of source kinds: texts, rendering, packing, fetching and pinning."""

import contextlib
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
)
from robotrain_runtime.contract.document import JobSource, RoleName
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_runtime.contract.target import TargetContainerPlugin, TargetInspection

from robotrain.check import publish_targets
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.testing.harness import compare, no_side_effects, report
from robotrain.testing.kit_base import (
    ROLES,
    SAMPLE_WORKLOAD,
    KitBase,
    find_clashes,
    find_outside_imports,
    load_declared,
    run_on_probe,
)

BASE_FOLDER = Path("/work")
"""The folder that relative names in the texts start from."""
SECRET = "S3CRETzz9kq0123456789"
PLACEHOLDER_PATTERN = r"\b[A-Z]{3,}\b|^last$|^-|^robotrain "
"""Suggestions with words that the user replaces, and whole command lines."""
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


class SourceKit(KitBase):
    """The standard tests of a source kind, as in docs/plugin-testing.md.

    `kind` is its name. `good` has texts that name a source, each with its printed form; relative names start from
    `/work`. `bad` has texts that people type and that name none. The fixture `served` returns a source that can be
    fetched (`robotrain.testing.Served`); without it nothing is fetched.
    """

    kind: ClassVar[str] = ""
    good: ClassVar[Mapping[str, str]] = {}
    bad: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def declaration(self, kit_folders: Path) -> SourceKind:
        """The declaration that robotrain loads."""
        source_kind: SourceKind = load_declared("source", self.kind, *sys.path)[1]
        return source_kind

    def test_declaration_is_complete(self, declaration: SourceKind) -> Iterator[str]:
        """Help, rejections and docs derive from it: no text is empty, the name can be typed, and the roles exist."""
        texts = ("name", "title", "form", "example", "help")
        yield from report("these texts are empty", (name for name in texts if not getattr(declaration, name).strip()))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", declaration.name):
            yield f"{declaration.name!r} is not a kind's name, such as my_kind"
        if not declaration.roles:
            yield "`roles` is empty, so nobody can use it: write roles={'dataset': RoleFlag('--my-kind')}"
        yield from report(f"the roles are {', '.join(ROLES)}; not", {*declaration.roles} - {*ROLES})

    def test_flags_clash_with_no_others(self, declaration: SourceKind) -> Iterator[str]:
        """No flag is an option of robotrain, a workload or a platform; kinds that share a flag declare it alike."""
        clashes = dict.fromkeys(find_clashes(self.kind, Plugins().workloads()))
        yield from report("rename the flags of `roles`, or declare them alike", clashes)

    def test_good_texts_are_sources(self, declaration: SourceKind) -> Iterator[str]:
        """The example and `good`: jobs store, compare and hash sources by their printed form, on any machine."""
        if not self.good:
            yield "write `good`: texts that name a source, each with its printed form"
        source_by_form: dict[str, Source] = {}
        for text, form in {declaration.example: "", **self.good}.items():
            source = _parse_text(declaration, text)
            if isinstance(source, SourceError):
                yield f"{text} must be accepted, also where it does not exist: {source}"
                continue
            reader = _find_reader(declaration, source)
            reparsed_source = reader.parse(str(source), Path("/elsewhere"))
            yield from compare(f"the printed form of {text}", str(source), form or str(source))
            yield from compare(f"{text}: its printed form names another source", reparsed_source, source)
            yield from compare(f"{text}: the printed form of its printed form", str(reparsed_source), str(source))
            parameters = vars(type(source)).get("__dataclass_params__")
            if (parameters and not parameters.frozen) or hash(reparsed_source) != hash(source):
                yield f"{text}: its source can be changed, or has no hash of its own; write @dataclass(frozen=True)"
            elif (
                source_by_form.setdefault(str(source), source) != source or [*source_by_form.values()].count(source) > 1
            ):
                yield f"{text}: sources of different printed forms are equal, or of the same form different"
            warnings = [warning for warning in reader.warn(source) if warning[-1:] != "."]
            yield from report(f"{text}: these warnings do not end with `.`", warnings)

    def test_recognizing_and_parsing_are_pure(self, declaration: SourceKind) -> Iterator[str]:
        """They read the text alone: a job can be rendered anywhere, always with the same result."""
        with no_side_effects():
            recognitions = [
                declaration.recognizes(text) for text in ("", " ", "\x00", "x", "://", *self.good, *self.bad)
            ]
            first_sources, second_sources = ([_parse_text(declaration, text) for text in self.good] for _ in range(2))
        yield from compare(
            "`parse` returns something else the second time", [*map(str, second_sources)], [*map(str, first_sources)]
        )
        yield from report(
            "`recognizes` returns no bool, but",
            (recognition for recognition in recognitions if not isinstance(recognition, bool)),
        )

    def test_bad_text_is_rejected(self, declaration: SourceKind) -> Iterator[str]:
        """A bad text is rejected with a sentence and, if possible, what to type."""
        if not self.bad:
            yield "write `bad`: texts that people type and that name no source"
        for text in self.bad:
            if isinstance(parse_result := _parse_text(declaration, text), SourceError):
                yield from _find_error_problems(declaration, parse_result)
            else:
                yield f"`parse` accepts {text!r} of `bad`, as {parse_result}: raise SourceError"

    def test_no_secret_is_repeated(self, declaration: SourceKind) -> Iterator[str]:
        """A pasted secret is never shown, and no address with one is accepted: jobs are stored in the clear."""
        for text in _add_secrets([*self.good, declaration.form]):
            parse_result = _parse_text(declaration, text)
            if isinstance(parse_result, SourceError):
                if SECRET in (shown_text := f"{parse_result.why} {parse_result.suggestion} {parse_result}"):
                    yield f"the rejection of {text!r} repeats the secret: {shown_text}"
            elif publish_targets.is_address(str(parse_result)):
                yield f"an address with a secret is accepted, raise SourceError: {text!r}"
            elif SECRET in (shown_text := redact(str(parse_result), declaration.schemes)):
                yield f"{text!r} is accepted and shown with its secret, raise SourceError: {shown_text}"

    def test_flags_and_saved_job_agree(self, declaration: SourceKind) -> Iterator[str]:
        """What is typed reaches the document unchanged and in order, and so does the job file that it is saved to."""
        if declaration.fetch_here:
            pytest.skip("a job has a folder of this machine in its place")
        source = declaration.parse(declaration.example, BASE_FOLDER)
        typed_words = [word for flag in declaration.roles.values() for word in (flag.flag, declaration.example)]
        expected_sources = [(role, source.kind, str(source)) for role in ROLES if role in declaration.roles]
        for job_form, words in (
            ("flags", (SAMPLE_WORKLOAD, *typed_words, "--save-as", "job.yaml")),
            ("job file", ("job.yaml",)),
        ):
            result = run_on_probe("render", *words).require(f"a job with the example, from the {job_form}, is rejected")
            sources = json.loads(result.json["files"]["job.json"]["text"])["sources"]
            actual = [(source["role"], source["kind"], source["uri"]) for source in sources]
            yield from compare(f"the document has other sources than the {job_form}", actual, expected_sources)

    def test_container_plugin_is_complete(self, declaration: SourceKind, tmp_path: Path) -> Iterator[str]:
        """Any image may run it: it needs the standard library alone. It fetches its sources, or names what does."""
        if not (module := declaration.container_plugin):
            pytest.skip("it has no container plugin")
        yield from find_outside_imports(tmp_path, *filter(None, [module, declaration.target]))
        plugin = load_container_plugin(module, SourceContainerPlugin)
        function_names = {"preflight", "fetch"}
        if plugin.CARRIER:
            module, function_names = plugin.CARRIER, {"deliver"}
        yield from report(f"{module} has no", sorted(function_names - {*vars(importlib.import_module(module))}))

    def test_target_is_complete(self, declaration: SourceKind) -> Iterator[str]:
        """A target has `open` and ENVIRONMENT; `normalize` is pure, and `inspect` asks nobody without a Python."""
        if not declaration.target:
            pytest.skip("it is not a publish target")
        target = load_container_plugin(declaration.target, TargetContainerPlugin)
        yield from report(f"{declaration.target} has no", sorted({"ENVIRONMENT", "open"} - {*vars(target)}))
        if not isinstance(getattr(target, "ENVIRONMENT", None), PythonEnvironment):
            yield "`ENVIRONMENT` is not a robotrain_runtime.plugin.PythonEnvironment"
        with no_side_effects():
            foreign_address = target.normalize("elsewhere://of/another/kind")
            address = target.normalize(declaration.example)
            second_address = target.normalize(address)
            name = target.get_name(address, target.locate(address, "000200"))
            inspection = target.inspect(address, ContainerContext(cache=BASE_FOLDER))
        yield from compare("`normalize` returns for an address of another kind", foreign_address, "")
        yield from compare(
            "`normalize` returns for its own form of the example", second_address, address or "a normal form"
        )
        yield from compare("`get_name` returns for what `locate` returned", name, "000200")
        yield from compare("`inspect` returns without a `place.python`", inspection, TargetInspection())

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
            context = ContainerContext(cache=tmp_path / "cache", python=served.python, **served.place)
            plugin = load_container_plugin(declaration.container_plugin, SourceContainerPlugin)
            if not plugin.CARRIER:
                if problems := [*plugin.preflight(source, context)]:
                    raise OSError("; ".join(map(summarize_problem, problems)))
                return read_files(plugin.fetch(source, context))
            fetcher = load_container_plugin(plugin.CARRIER, BatchFetcher)
            with closing(fetcher.deliver([source], {source.kind: plugin}, context, {})) as batch:
                try:
                    if problems := [problem for survey in batch.survey() for problem in survey.problems]:
                        raise OSError("; ".join(map(summarize_problem, problems)))
                    return read_files(batch.fetch(lambda download: None)[source])
                except JobFailed as failed:
                    raise OSError(str(failed)) from failed

        def read_files(folder: Path) -> dict[str, bytes]:
            return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

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
        pinning = declaration.pinning
        source = declaration.parse(served.text, BASE_FOLDER)
        role = served.role
        if pinning is None:
            pytest.skip("it declares no pinning")
        pin, second_pin = (pinning.resolve(source, role) for _ in range(2))
        yield from compare("`resolve` returned another pin for the same content", second_pin, pin or "a pin")
        yield from report(
            "`explain_lost_pin` reports a loss", filter(None, [pinning.explain_lost_pin(source, role, pin)])
        )
        yield from report("`find_missing` reports existing files", pinning.find_missing(source, role, [*served.files]))
        yield from compare_files("fetched by the pin", fetch(pin=pin), served.files)
        if served.change is not None:
            served.change()
            if pinning.resolve(source, role) == pin:
                yield f"`resolve` returned the same pin for other content: {pin}"
            with contextlib.suppress(OSError):
                yield from compare_files("fetched by the pin of the content before", fetch(pin=pin), served.files)


def compare_files(subject: str, actual: Mapping[str, bytes], expected_files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a sentence with the paths of files that are missing, changed or too many."""
    differing_paths = (
        path for path in sorted({*actual, *expected_files}) if actual.get(path) != expected_files.get(path)
    )
    yield from report(f"these files are missing, changed or too many, {subject}", differing_paths)


def _find_reader(kind: SourceKind, source: Source) -> SourceKind:
    """Return the kind of a source that `kind` parsed: it may return one of another."""
    source_kind: SourceKind = kind if source.kind == kind.name else load_declared("source", source.kind, *sys.path)[1]
    return source_kind


def _parse_text(kind: SourceKind, text: str) -> Source | SourceError:
    try:
        return kind.parse(text, BASE_FOLDER)
    except SourceError as refused:
        return refused


def _find_error_problems(kind: SourceKind, refused: SourceError) -> Iterator[str]:
    """Yield a problem of an error that is not a sentence, or whose suggestion is not accepted."""
    if not refused.why.endswith("."):
        yield f"the reason of SourceError is not a sentence that ends with `.`: {refused.why!r}"
    is_text = refused.suggestion and not re.search(PLACEHOLDER_PATTERN, refused.suggestion)
    if is_text and isinstance(_parse_text(kind, refused.suggestion), SourceError):
        yield f"the suggestion of SourceError is rejected itself: {refused.suggestion!r}"


def _add_secrets(texts: list[str]) -> Iterator[str]:
    """Yield each text with a secret in every place where people paste one."""
    suffixes = ("?sv=2024-01-01&sig=", "?X-Amz-Signature=", "#access_token=", "&sig=", "%3Fsig=")
    for text in texts:
        scheme, mark, address = text.rpartition("://")
        yield from (f"{text}{suffix}{SECRET}" for suffix in suffixes)
        yield from (f"{scheme}{mark}{user}:{SECRET}@{address}" for user in ("user", ""))
        yield f"https://user:{SECRET}@host.example/{address}"
        yield f"https://host.example/{address}?token={SECRET}"
