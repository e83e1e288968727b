"""Tests of a source kind: its declaration, parsing, printed form, rejections and secrets."""

import dataclasses
import functools
import re
import string
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from robotrain.check import targets
from robotrain.cli.options import list_flags
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.testing import harness, probe
from robotrain.testing.harness import no_side_effects
from robotrain.testing.import_rules import PublicImportTests, find_claim

BASE_FOLDER = Path("/work")
"""What relative names in the texts start from."""


class SourceTestBase(PublicImportTests):
    """kind: its name, installed under the claim `source.NAME` or brought by a platform. good: by text, its printed
    form; relative names start from `/work`. bad: texts that are refused.
    """

    yours: ClassVar[tuple[str, ...]] = ("kind", "good", "bad")
    kind: ClassVar[str] = ""
    good: ClassVar[Mapping[str, str]] = {}
    bad: ClassVar[Sequence[str]] = ()

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The working folder, empty and the test's own."""
        return harness.isolate_folders(tmp_path / "kit", monkeypatch)

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the kind, where it is not one that a platform brings without."""
        return find_claim("source", self.kind)

    @pytest.fixture
    def declaration(self) -> SourceKind:
        """The declaration, as robotrain finds it."""
        return load_kind(self.kind)

    @pytest.fixture
    def probe_plugin(self, kit_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A platform and a workload that take everything, beside what is installed."""
        probe.install_probe(kit_folders.parent / "site", monkeypatch)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """A test for each text."""
        super().parametrize(metafunc)
        for name, texts in (("text", self.good), ("refused", self.bad)):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, list(texts), ids=repr)


def load_kind(name: str) -> SourceKind:
    """The source kind of that name; a test that asks for one that is not there fails with what is."""
    return _load_kind(name, tuple(sys.path))


@functools.lru_cache(64)
def _load_kind(name: str, path: tuple[str, ...]) -> SourceKind:
    """path: where plugins are looked for, as long as it is the same they are."""
    plugins = Plugins()
    kinds = plugins.source_kinds()
    if name not in kinds:
        plugins.platforms()  # one of them may bring it without a claim of its own
        kinds = plugins.source_kinds()
    if name not in kinds:
        failed = "".join(f"\n{failure}" for failure in plugins.failures.values())
        pytest.fail(f"no source kind {name!r} is installed; installed: {', '.join(sorted(kinds))}{failed}")
    return kinds[name]


def find_reader(kind: SourceKind, source: Source) -> SourceKind:
    """The kind that reads what `kind` parsed: it may answer with a source of another."""
    return kind if source.kind == kind.name else load_kind(source.kind)


FLAG_PATTERN = r"--[a-z0-9]+(-[a-z0-9]+)*"
ALIAS_PATTERN = rf"{FLAG_PATTERN}|-[a-zA-Z]"


class SourceDeclarationTests(SourceTestBase):
    """Of the SourceKind record."""

    def test_plugin_provides_its_claim(self, declaration: SourceKind) -> None:
        """The name of the entry point is its claim: the kind of that name is brought, and nothing fails on the way."""
        plugins = Plugins()
        plugins.source_kinds()
        failed = [str(failure) for claim, failure in plugins.failures.items() if claim.name == self.kind]
        assert declaration.name == self.kind
        assert not failed

    def test_declaration_is_complete(self, declaration: SourceKind) -> None:
        """Help, refusals and docs are made from these texts: none is empty, and no flag is misspelt."""
        for name in ("name", "title", "form", "example", "help"):
            assert getattr(declaration, name).strip(), f"{name} is empty"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", declaration.name), "a kind's name is small letters, digits and `_`"
        assert declaration.roles, "it fills no role: nothing could name it"
        for role, flag in declaration.roles.items():
            assert role in probe.ROLES, f"no role is called {role!r}; there are {', '.join(probe.ROLES)}"
            assert re.fullmatch(FLAG_PATTERN, flag.flag), f"{flag.flag!r} is no long option"
            assert all(re.fullmatch(ALIAS_PATTERN, alias) for alias in flag.aliases), f"{flag.aliases} are no options"

    def test_example_parses_in_an_empty_folder(self, declaration: SourceKind, kit_folders: Path) -> None:
        """The example is tried on every platform, on machines where nothing of it is there."""
        with no_side_effects():
            source = declaration.parse(declaration.example, kit_folders)
        assert find_reader(declaration, source).parse(str(source), BASE_FOLDER) == source

    def test_flags_belong_to_no_other(self, declaration: SourceKind) -> None:
        """A flag means one thing: none is robotrain's, a workload's or a platform's."""
        plugins = Plugins()
        others: list[typing.Any] = [*plugins.workloads().values(), *plugins.platforms().values()]
        taken = {flag: other.name for other in others for flag in list_flags(_declared_type(other))}
        for flag in declaration.roles.values():
            for spelling in (flag.flag, *flag.aliases):
                assert spelling not in taken, f"{spelling} is an option of {taken.get(spelling)}"

    def test_flags_do_not_clash(self, declaration: SourceKind, probe_plugin: None) -> None:
        """What robotrain finds when it composes the options: a flag shared by kinds is the same throughout."""
        answer = harness.run_command("explain", probe.PROBE_NAME, "--platform", probe.PROBE_NAME, "--json")
        clashes = [one for one in answer.json.get("problems", ()) if one["code"].endswith("-clash")]
        assert not [one["title"] for one in clashes if re.search(rf"\b{declaration.name}\b", one["title"])]

    def test_shared_flag_is_resolved_by_text(self, declaration: SourceKind) -> None:
        """Kinds may share a flag where the text says which is meant: its own recogniser knows it, no other's does."""
        sharing = [kind for kind in Plugins().source_kinds().values() if kind.name != self.kind]
        sharing = [kind for kind in sharing if set(kind.roles.items()) & set(declaration.roles.items())]
        if sharing or declaration.target or declaration.platform_managed:
            assert declaration.recognizes(declaration.example), "it does not recognise its own example"
        for text in (declaration.example, *self.good):
            takers = [kind.name for kind in sharing if declaration.recognizes(text) and kind.recognizes(text)]
            assert not takers, f"{text} is taken for one of {', '.join(takers)} as well"

    def test_recognizer_is_pure(self, declaration: SourceKind) -> None:
        """Every text of a job is shown to every recogniser: it looks at the text alone, and always answers."""
        with no_side_effects():
            answers = [declaration.recognizes(text) for text in ("", " ", "\x00", "x", "://", *self.good, *self.bad)]
        assert all(isinstance(answer, bool) for answer in answers)

    @pytest.mark.parametrize("asked", ["container_plugin", "target"])
    def test_named_modules_exist(self, declaration: SourceKind, asked: str) -> None:
        """What acts in the container is packed by its name."""
        from importlib.util import find_spec

        module = getattr(declaration, asked)
        assert not module or find_spec(module), f"{asked}: no module is called {module}"


def _declared_type(other: typing.Any) -> type:
    """The dataclass of a workload's parameters or a platform's settings."""
    return typing.cast(type, getattr(other, "parameters", None) or other.settings)


OTHER_FOLDER = Path("/elsewhere")


class SourceTextTests(SourceTestBase):
    """Of the texts that are good."""

    def test_has_texts_to_try(self) -> None:
        """A kit tries what it is given: at least one good text, and one bad one."""
        assert self.good, "say `good`: texts that name a source, each with its printed form"
        assert self.bad, "say `bad`: texts that people type and that name no source"

    def test_good_text_has_its_printed_form(self, declaration: SourceKind, text: str) -> None:
        """A source is told, kept and compared by its printed form: one source, one form."""
        assert str(declaration.parse(text, BASE_FOLDER)) == self.good[text]

    def test_printed_form_parses_to_the_same_source(self, declaration: SourceKind, text: str) -> None:
        """A job carries the printed form: whoever reads it, wherever they are, must find the same source."""
        source = declaration.parse(text, BASE_FOLDER)
        again = find_reader(declaration, source).parse(str(source), OTHER_FOLDER)
        assert again == source, "the printed form names another source"
        assert str(again) == str(source), "the printed form is not its own printed form"

    def test_parsing_is_pure(self, declaration: SourceKind, text: str) -> None:
        """Parse is pure and offline: a job can be rendered anywhere, at once, and twice the same."""
        with no_side_effects():
            first, second = declaration.parse(text, BASE_FOLDER), declaration.parse(text, BASE_FOLDER)
        assert first == second

    def test_source_is_an_immutable_value(self, declaration: SourceKind) -> None:
        """Jobs are compared, hashed and kept: equal sources are equal objects, of one hash, which nothing changes."""
        made = {str(source): source for source in (declaration.parse(text, BASE_FOLDER) for text in self.good)}
        for form, source in made.items():
            again = find_reader(declaration, source).parse(form, BASE_FOLDER)
            assert hash(again) == hash(source), f"{form}: equal sources have different hashes"
            assert not _is_mutable(source), f"{form}: the source can be changed; make it a frozen dataclass"
        assert len(set(made.values())) == len(made), "different printed forms are equal sources"

    def test_warnings_are_sentences(self, declaration: SourceKind) -> None:
        """`warn` speaks to people, and never stops a job."""
        for text in self.good:
            source = declaration.parse(text, BASE_FOLDER)
            for sentence in find_reader(declaration, source).warn(source):
                assert sentence.endswith("."), f"{sentence!r} is no sentence"


def _is_mutable(source: Source) -> bool:
    """Whether another value can be set in it; a frozen dataclass and a tuple refuse that."""
    parts = [field.name for field in dataclasses.fields(source)] if dataclasses.is_dataclass(source) else ["kind"]
    for name in parts:
        try:
            setattr(source, name, getattr(source, name))
        except (AttributeError, TypeError):
            continue
        return True
    return False


SECRET = "S3CRETzz9kq0123456789"
PLACEHOLDER_PATTERN = r"\b[A-Z]{3,}\b|^last$|^-|^robotrain "
"""In an offer: words that the person is to replace, and whole command lines."""
MAX_EXAMPLES = 60
PIECES = (
    *("://", "//", "/", "\\", ":", "@", "?", "#", "&", "=", "%20", "%3F", " ", "\t", "\n", "\x00", "..", ".", "~", "-"),
    *("https://", "file:", "user:word@", "localhost:8080", "{{x}}", "${x}", "$(x)", "'", '"', "é", "名", "\u202e", "1"),
)


class SourceRefusalTests(SourceTestBase):
    """Of bad texts, of any text, and of texts with a secret."""

    def test_bad_text_is_rejected(self, declaration: SourceKind, refused: str) -> None:
        """What cannot be meant is refused where it is typed, with a sentence and, where possible, what to type."""
        read = _parse_text(declaration, refused)
        assert isinstance(read, SourceError), f"{refused!r} was taken, as {read}"
        assert read.why.endswith("."), f"why: {read.why!r} is no sentence"
        _assert_suggestion_parses(declaration, read)

    def test_any_text_parses_or_is_rejected(self, declaration: SourceKind) -> None:
        """Whatever people paste: a source in its normal form, or SourceError with a sentence; no other exception."""
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        parts = sorted({part for text in (*self.good, declaration.form) for part in re.split(r"(\W)", text) if part})
        piece = st.sampled_from([*parts, *self.good, *PIECES]) | st.text(max_size=4)

        @settings(derandomize=True, max_examples=MAX_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(piece, max_size=7).map("".join))
        def any_text(text: str) -> None:
            read = _parse_text(declaration, text)
            declaration.recognizes(text)
            if isinstance(read, SourceError):
                assert read.why.endswith("."), f"why: {read.why!r} is no sentence"
                _assert_suggestion_parses(declaration, read)
            else:
                assert find_reader(declaration, read).parse(str(read), BASE_FOLDER) == read, (
                    "its printed form is another source"
                )
                assert str(read).encode(), "its printed form cannot be written"

        any_text()

    def test_no_secret_is_repeated(self, declaration: SourceKind) -> None:
        """A secret that was pasted in is never shown, and no address with one is taken: jobs are kept in the clear."""
        for text in _add_secrets([*self.good, declaration.form]):
            read = _parse_text(declaration, text)
            if isinstance(read, SourceError):
                told = f"{read.why} {read.suggestion} {read}"
                assert SECRET not in told, f"the refusal of {text!r} repeats the secret: {told}"
            else:
                assert not targets.is_address(str(read)), f"an address with a secret was taken: {text!r}"
                shown = redact(str(read), declaration.schemes)
                assert SECRET not in shown, f"{text!r} was taken, and is shown with its secret: {shown}"

    def test_no_secret_is_printed(self, declaration: SourceKind, probe_plugin: None) -> None:
        """The same at the command line, where what was typed is shown beside what is wrong with it."""
        words = [
            word
            for text, flag in zip(_add_secrets([*self.good][:1]), _repeat_flags(declaration), strict=False)
            for word in (flag, text)
        ]
        answer = harness.run_command("explain", probe.PROBE_NAME, "--platform", probe.PROBE_NAME, *words)
        assert SECRET not in answer.stdout + answer.stderr, str(answer)


def _parse_text(kind: SourceKind, text: str) -> Source | SourceError:
    try:
        return kind.parse(text, BASE_FOLDER)
    except SourceError as refused:
        return refused


def _assert_suggestion_parses(kind: SourceKind, refused: SourceError) -> None:
    """What is offered in place of a refused text must do, as it stands."""
    if refused.suggestion and not re.search(PLACEHOLDER_PATTERN, refused.suggestion):
        offered = _parse_text(kind, refused.suggestion)
        assert not isinstance(offered, SourceError), f"offered instead, and refused itself: {refused.suggestion!r}"


def _repeat_flags(kind: SourceKind) -> Iterator[str]:
    """Each flag as often as it can be given."""
    for flag in kind.roles.values():
        yield from [flag.flag] * (len(string.ascii_lowercase) if flag.repeatable else 1)


def _add_secrets(texts: list[str]) -> Iterator[str]:
    """Each text with a secret in every place that secrets are pasted into."""
    for text in texts:
        scheme, mark, rest = text.rpartition("://")
        yield f"{text}?sv=2024-01-01&sig={SECRET}"
        yield f"{text}?X-Amz-Signature={SECRET}"
        yield f"{scheme}{mark}user:{SECRET}@{rest}"
        yield f"https://user:{SECRET}@host.example/{rest}"
        yield f"https://host.example/{rest}?token={SECRET}"
        yield f"{text}#access_token={SECRET}"
        yield f"{text}&sig={SECRET}"
        yield f"{text}%3Fsig={SECRET}"
        yield f"{scheme}{mark}:{SECRET}@{rest}"
