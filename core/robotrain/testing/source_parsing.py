"""Tests of a source kind: its declaration, parsing, printed form, rejections and secrets."""

import functools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from robotrain.check import publish_targets
from robotrain.cli.options import list_flags
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.testing import probe
from robotrain.testing.harness import assert_no_problems, assert_none, no_side_effects
from robotrain.testing.kit_base import FLAG_PATTERN, find_claim
from robotrain.testing.probe import DeclarationTestBase, run_with_probe

BASE_FOLDER = Path("/work")
"""The folder that relative names in the texts start from."""


class SourceTestBase(DeclarationTestBase):
    """The base of all test classes of SourceKit."""

    yours: ClassVar[tuple[str, ...]] = ("kind", "good", "bad")
    kind: ClassVar[str] = ""
    good: ClassVar[Mapping[str, str]] = {}
    bad: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the kind, unless a platform provides it without one."""
        return find_claim("source", self.kind)

    @pytest.fixture
    def declaration(self) -> SourceKind:
        """The declaration that robotrain loads."""
        return load_kind(self.kind, tuple(sys.path))


@functools.lru_cache(64)
def load_kind(name: str, path: tuple[str, ...]) -> SourceKind:
    """Return the source kind of that name, found on `path`; the test fails if there is none."""
    plugins = Plugins()
    kinds = plugins.source_kinds()
    if name not in kinds:
        plugins.platforms()  # one of them may provide it without a claim of its own
        kinds = plugins.source_kinds()
    if name not in kinds:
        failures = "".join(f"\n{failure}" for failure in plugins.failures.values())
        pytest.fail(f"no source kind {name!r} is installed; installed: {', '.join(sorted(kinds))}{failures}")
    return kinds[name]


def find_reader(kind: SourceKind, source: Source) -> SourceKind:
    """Return the kind of a source that `kind` parsed: it may return one of another."""
    return kind if source.kind == kind.name else load_kind(source.kind, tuple(sys.path))


def parse_again(kind: SourceKind, source: Source, base: Path = BASE_FOLDER) -> Source:
    """Parse the printed form of a source."""
    return find_reader(kind, source).parse(str(source), base)


ALIAS_PATTERN = rf"{FLAG_PATTERN}|-[a-zA-Z]"


class SourceDeclarationTests(SourceTestBase):
    """The SourceKind record."""

    def test_plugin_provides_its_claim(self, declaration: SourceKind) -> None:
        """The entry point's name is its claim: the plugin has the kind of that name, and loads without a failure."""
        plugins = Plugins()
        plugins.source_kinds()
        assert_no_problems(str(failure) for claim, failure in plugins.failures.items() if claim.name == self.kind)
        assert declaration.name == self.kind

    def test_declaration_is_complete(self, declaration: SourceKind) -> None:
        """Help, rejections and docs derive from it: no text is empty, and every flag is an option."""
        texts = ("name", "title", "form", "example", "help")
        assert_none((name for name in texts if not getattr(declaration, name).strip()), "these texts are empty")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", declaration.name), "a kind's name is of the form my_kind"
        assert declaration.roles, "it has no role, so nobody can use it"
        assert_none({*declaration.roles} - {*probe.ROLES}, f"the roles are {', '.join(probe.ROLES)}; not")
        flags = declaration.roles.values()
        wrong = [one.flag for one in flags if not re.fullmatch(FLAG_PATTERN, one.flag)]
        wrong += [alias for one in flags for alias in one.aliases if not re.fullmatch(ALIAS_PATTERN, alias)]
        assert_none(wrong, "these are not options, such as --blob-url")

    def test_example_parses_in_an_empty_folder(self, declaration: SourceKind, kit_folders: Path) -> None:
        """The example is tried on every platform, on machines that do not have it."""
        with no_side_effects():
            source = declaration.parse(declaration.example, kit_folders)
        assert parse_again(declaration, source) == source

    def test_flags_clash_with_no_others(self, declaration: SourceKind, probe_plugin: None) -> None:
        """No flag is an option of robotrain, a workload or a platform; kinds that share a flag declare it alike."""
        plugins = Plugins()
        declared = [
            *((one.name, one.parameters) for one in plugins.workloads().values()),
            *((one.name, one.settings) for one in plugins.platforms().values()),
        ]
        taken = {flag: name for name, options in declared for flag in list_flags(options)}
        own = [flag for one in declaration.roles.values() for flag in (one.flag, *one.aliases)]
        assert_none((f"{flag} (of {taken[flag]})" for flag in own if flag in taken), "these flags are taken; rename")
        problems = run_with_probe("explain", probe.PROBE_NAME).problems
        clashes = [one["title"] for one in problems if one["code"].endswith("-clash")]
        assert_none((one for one in clashes if re.search(rf"\b{declaration.name}\b", one)), "options clash")

    def test_shared_flag_is_resolved_by_text(self, declaration: SourceKind) -> None:
        """Kinds that share a flag are told apart by the text: only its own recogniser accepts it."""
        sharing = [kind for kind in Plugins().source_kinds().values() if kind.name != self.kind]
        sharing = [kind for kind in sharing if set(kind.roles.items()) & set(declaration.roles.items())]
        if sharing or declaration.target or declaration.platform_managed:
            assert declaration.recognizes(declaration.example), "`recognizes` does not accept the kind's own example"
        for text in (declaration.example, *self.good):
            takers = [kind.name for kind in sharing if declaration.recognizes(text) and kind.recognizes(text)]
            assert_none(takers, f"{text} is also recognised by")


SECRET = "S3CRETzz9kq0123456789"
PLACEHOLDER_PATTERN = r"\b[A-Z]{3,}\b|^last$|^-|^robotrain "
"""Suggestions with words that the user replaces, and whole command lines."""
MAX_EXAMPLES = 60
PIECES = (
    *("://", "//", "/", "\\", ":", "@", "?", "#", "&", "=", "%20", "%3F", " ", "\t", "\n", "\x00", "..", ".", "~", "-"),
    *("https://", "file:", "user:word@", "localhost:8080", "{{x}}", "${x}", "$(x)", "'", '"', "é", "名", "\u202e", "1"),
)


class SourceTextTests(SourceTestBase):
    """Good and bad texts, any text, and texts with a secret."""

    def test_has_texts_to_try(self) -> None:
        """The author gives at least one good and one bad text."""
        assert self.good, "write `good`: texts that name a source, each with its printed form"
        assert self.bad, "write `bad`: texts that people type and that name no source"

    def test_good_text_has_its_printed_form(self, declaration: SourceKind) -> None:
        """A source is shown, stored and compared by its printed form: one source, one form."""
        assert {text: str(declaration.parse(text, BASE_FOLDER)) for text in self.good} == {**self.good}

    def test_printed_form_parses_to_the_same_source(self, declaration: SourceKind) -> None:
        """A job has the printed form, which must mean the same source everywhere."""
        for text in self.good:
            source = declaration.parse(text, BASE_FOLDER)
            again = parse_again(declaration, source, Path("/elsewhere"))
            assert again == source, f"{text}: the printed form names another source"
            assert str(again) == str(source), f"{text}: the printed form is not its own printed form"

    def test_recognizing_and_parsing_are_pure(self, declaration: SourceKind) -> None:
        """They read the text alone: a job can be rendered anywhere, always with the same result."""
        with no_side_effects():
            answers = [declaration.recognizes(text) for text in ("", " ", "\x00", "x", "://", *self.good, *self.bad)]
            for text in self.good:
                assert declaration.parse(text, BASE_FOLDER) == declaration.parse(text, BASE_FOLDER)
        assert all(isinstance(answer, bool) for answer in answers), "`recognizes` must return a bool"

    def test_source_is_an_immutable_value(self, declaration: SourceKind) -> None:
        """Jobs are compared, hashed and stored: equal sources are equal objects with one hash, and immutable."""
        made = {str(source): source for source in (declaration.parse(text, BASE_FOLDER) for text in self.good)}
        for form, source in made.items():
            again = parse_again(declaration, source)
            assert hash(again) == hash(source), f"{form}: equal sources have different hashes"
            parameters = vars(type(source)).get("__dataclass_params__")
            assert not parameters or parameters.frozen, f"{form}: the source is mutable; make it a frozen dataclass"
        assert len(set(made.values())) == len(made), "different printed forms are equal sources"

    def test_warnings_are_sentences(self, declaration: SourceKind) -> None:
        """`warn` returns sentences."""
        for text in self.good:
            source = declaration.parse(text, BASE_FOLDER)
            for sentence in find_reader(declaration, source).warn(source):
                assert sentence.endswith("."), f"{sentence!r} is not a sentence that ends with `.`"

    def test_bad_text_is_rejected(self, declaration: SourceKind) -> None:
        """A bad text is rejected with a sentence and, if possible, what to type."""
        for text in self.bad:
            read = _parse_text(declaration, text)
            assert isinstance(read, SourceError), f"{text!r} was accepted, as {read}"
            _check_error(declaration, read)

    def test_any_text_parses_or_is_rejected(self, declaration: SourceKind) -> None:
        """Any text gives a source in its normal form, or SourceError with a sentence; no other exception."""
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
                _check_error(declaration, read)
            else:
                assert parse_again(declaration, read) == read, "its printed form is another source"
                assert str(read).encode(), "its printed form cannot be written"

        any_text()

    def test_no_secret_is_repeated(self, declaration: SourceKind) -> None:
        """A pasted secret is never shown, and no address with one is accepted: jobs are stored in the clear."""
        for text in _add_secrets([*self.good, declaration.form]):
            read = _parse_text(declaration, text)
            if isinstance(read, SourceError):
                shown = f"{read.why} {read.suggestion} {read}"
                assert SECRET not in shown, f"the rejection of {text!r} repeats the secret: {shown}"
            else:
                assert not publish_targets.is_address(str(read)), f"an address with a secret was accepted: {text!r}"
                shown = redact(str(read), declaration.schemes)
                assert SECRET not in shown, f"{text!r} was accepted, and is shown with its secret: {shown}"


def _parse_text(kind: SourceKind, text: str) -> Source | SourceError:
    try:
        return kind.parse(text, BASE_FOLDER)
    except SourceError as refused:
        return refused


def _check_error(kind: SourceKind, refused: SourceError) -> None:
    """Check that an error is a sentence, and that its suggestion is accepted."""
    assert refused.why.endswith("."), f"why: {refused.why!r} is not a sentence that ends with `.`"
    if refused.suggestion and not re.search(PLACEHOLDER_PATTERN, refused.suggestion):
        suggested = _parse_text(kind, refused.suggestion)
        assert not isinstance(suggested, SourceError), f"the suggestion {refused.suggestion!r} is rejected itself"


def _add_secrets(texts: list[str]) -> Iterator[str]:
    """Yield each text with a secret in every place where people paste one."""
    suffixes = ("?sv=2024-01-01&sig=", "?X-Amz-Signature=", "#access_token=", "&sig=", "%3Fsig=")
    for text in texts:
        scheme, mark, rest = text.rpartition("://")
        yield from (f"{text}{suffix}{SECRET}" for suffix in suffixes)
        yield from (f"{scheme}{mark}{user}:{SECRET}@{rest}" for user in ("user", ""))
        yield f"https://user:{SECRET}@host.example/{rest}"
        yield f"https://host.example/{rest}?token={SECRET}"
