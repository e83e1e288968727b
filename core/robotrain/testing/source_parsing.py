"""Tests of a source kind: its declaration, parsing, printed form, rejections and secrets."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from robotrain.check import publish_targets
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.testing.harness import compare, no_side_effects, report
from robotrain.testing.kit_base import ROLES, ImportTests, find_clashes, load_declared

BASE_FOLDER = Path("/work")
"""The folder that relative names in the texts start from."""
SECRET = "S3CRETzz9kq0123456789"
PLACEHOLDER_PATTERN = r"\b[A-Z]{3,}\b|^last$|^-|^robotrain "
"""Suggestions with words that the user replaces, and whole command lines."""
MAX_EXAMPLES = 60
PIECES = (
    *("://", "//", "/", "\\", ":", "@", "?", "#", "&", "=", "%20", "%3F", " ", "\t", "\n", "\x00", "..", ".", "~", "-"),
    *("https://", "file:", "user:word@", "localhost:8080", "{{x}}", "${x}", "$(x)", "'", '"', "é", "名", "\u202e", "1"),
)


class SourceTextTests(ImportTests):
    """Good and bad texts, any text, and texts with a secret."""

    kind: ClassVar[str] = ""
    good: ClassVar[Mapping[str, str]] = {}
    bad: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def declaration(self, kit_folders: Path) -> SourceKind:
        """The declaration that robotrain loads."""
        found: SourceKind = load_declared("source", self.kind, *sys.path)[1]
        return found

    def test_declaration_is_complete(self, declaration: SourceKind) -> Iterator[str]:
        """Help, rejections and docs derive from it: no text is empty, the name can be typed, and the roles exist."""
        texts = ("name", "title", "form", "example", "help")
        yield from report("these texts are empty", (one for one in texts if not getattr(declaration, one).strip()))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", declaration.name):
            yield f"{declaration.name!r} is not a kind's name, such as my_kind"
        if not declaration.roles:
            yield "`roles` is empty, so nobody can use it: write roles={'dataset': RoleFlag('--my-kind')}"
        yield from report(f"the roles are {', '.join(ROLES)}; not", {*declaration.roles} - {*ROLES})

    def test_flags_clash_with_no_others(self, declaration: SourceKind) -> Iterator[str]:
        """No flag is an option of robotrain, a workload or a platform; kinds that share a flag declare it alike."""
        clashes = dict.fromkeys(find_clashes(self.kind, Plugins().workloads()))
        yield from report("rename the flags of `roles`, or declare them alike", clashes)

    def test_shared_flag_is_resolved_by_text(self, declaration: SourceKind) -> Iterator[str]:
        """Kinds that share a flag are told apart by the text: only its own recogniser accepts it."""
        others = [kind for kind in Plugins().source_kinds().values() if kind.name != self.kind]
        sharing = [kind for kind in others if {*kind.roles.items()} & {*declaration.roles.items()}]
        is_resolved = sharing or declaration.target or declaration.platform_managed
        if is_resolved and not declaration.recognizes(declaration.example):
            yield f"`recognizes` does not accept the kind's own example, {declaration.example}"
        for text in (declaration.example, *self.good):
            takers = [kind.name for kind in sharing if declaration.recognizes(text) and kind.recognizes(text)]
            yield from report(f"{text} is also recognised by these kinds, whose flag it shares", takers)

    def test_good_texts_are_sources(self, declaration: SourceKind) -> Iterator[str]:
        """The example and `good`: jobs store, compare and hash sources by their printed form, on any machine."""
        if not self.good:
            yield "write `good`: texts that name a source, each with its printed form"
        made: dict[str, Source] = {}
        for text, form in {declaration.example: "", **self.good}.items():
            source = _parse_text(declaration, text)
            if isinstance(source, SourceError):
                yield f"{text} must be accepted, also where it does not exist: {source}"
                continue
            again = parse_again(declaration, source, Path("/elsewhere"))
            yield from compare(f"the printed form of {text}", str(source), form or str(source))
            yield from compare(f"{text}: its printed form names another source", again, source)
            yield from compare(f"{text}: the printed form of its printed form", str(again), str(source))
            parameters = vars(type(source)).get("__dataclass_params__")
            if (parameters and not parameters.frozen) or hash(again) != hash(source):
                yield f"{text}: its source can be changed, or has no hash of its own; write @dataclass(frozen=True)"
            elif made.setdefault(str(source), source) != source or [*made.values()].count(source) > 1:
                yield f"{text}: sources of different printed forms are equal, or of the same form different"
            warnings = find_reader(declaration, source).warn(source)
            yield from report(
                f"{text}: these warnings do not end with `.`", (one for one in warnings if one[-1:] != ".")
            )

    def test_recognizing_and_parsing_are_pure(self, declaration: SourceKind) -> Iterator[str]:
        """They read the text alone: a job can be rendered anywhere, always with the same result."""
        with no_side_effects():
            answers = [declaration.recognizes(text) for text in ("", " ", "\x00", "x", "://", *self.good, *self.bad)]
            first, second = ([_parse_text(declaration, text) for text in self.good] for _ in range(2))
        yield from compare("`parse` returns something else the second time", [*map(str, second)], [*map(str, first)])
        yield from report("`recognizes` returns no bool, but", (one for one in answers if not isinstance(one, bool)))

    def test_bad_text_is_rejected(self, declaration: SourceKind) -> Iterator[str]:
        """A bad text is rejected with a sentence and, if possible, what to type."""
        if not self.bad:
            yield "write `bad`: texts that people type and that name no source"
        for text in self.bad:
            if isinstance(read := _parse_text(declaration, text), SourceError):
                yield from _find_error_problems(declaration, read)
            else:
                yield f"`parse` accepts {text!r} of `bad`, as {read}: raise SourceError"

    def test_any_text_parses_or_is_rejected(self, declaration: SourceKind) -> Iterator[str]:
        """Any text gives a source in its normal form, or SourceError with a sentence; no other exception."""
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        parts = sorted({part for text in (*self.good, declaration.form) for part in re.split(r"(\W)", text) if part})
        piece = st.sampled_from([*parts, *self.good, *PIECES]) | st.text(max_size=4)
        wrong: list[str] = []

        @settings(derandomize=True, max_examples=MAX_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(piece, max_size=7).map("".join))
        def try_text(text: str) -> None:
            read = _parse_text(declaration, text)
            declaration.recognizes(text)
            if isinstance(read, SourceError):
                wrong.extend(_find_error_problems(declaration, read))
            else:
                str(read).encode()  # a printed form must be one that can be written
                wrong.extend(compare(f"the printed form of {text!r} names", parse_again(declaration, read), read))

        try_text()
        yield from dict.fromkeys(wrong)

    def test_no_secret_is_repeated(self, declaration: SourceKind) -> Iterator[str]:
        """A pasted secret is never shown, and no address with one is accepted: jobs are stored in the clear."""
        for text in _add_secrets([*self.good, declaration.form]):
            read = _parse_text(declaration, text)
            if isinstance(read, SourceError):
                if SECRET in (shown := f"{read.why} {read.suggestion} {read}"):
                    yield f"the rejection of {text!r} repeats the secret: {shown}"
            elif publish_targets.is_address(str(read)):
                yield f"an address with a secret is accepted, raise SourceError: {text!r}"
            elif SECRET in (shown := redact(str(read), declaration.schemes)):
                yield f"{text!r} is accepted and shown with its secret, raise SourceError: {shown}"


def find_reader(kind: SourceKind, source: Source) -> SourceKind:
    """Return the kind of a source that `kind` parsed: it may return one of another."""
    found: SourceKind = kind if source.kind == kind.name else load_declared("source", source.kind, *sys.path)[1]
    return found


def parse_again(kind: SourceKind, source: Source, base: Path = BASE_FOLDER) -> Source:
    """Parse the printed form of a source."""
    return find_reader(kind, source).parse(str(source), base)


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
        scheme, mark, rest = text.rpartition("://")
        yield from (f"{text}{suffix}{SECRET}" for suffix in suffixes)
        yield from (f"{scheme}{mark}{user}:{SECRET}@{rest}" for user in ("user", ""))
        yield f"https://user:{SECRET}@host.example/{rest}"
        yield f"https://host.example/{rest}?token={SECRET}"
