"""What names no source: refused in a sentence, whatever it is, and without repeating anything secret."""

import re
import string
from collections.abc import Iterator

from robotrain import targets
from robotrain.redaction import redact
from robotrain.source import Source, SourceError, SourceKind
from robotrain.testing import command_line, probe
from robotrain.testing.source.base import BASE, OfKind, reader

SECRET = "S3CRETzz9kq0123456789"
LEFT_OPEN = r"\b[A-Z]{3,}\b|^last$|^-|^robotrain "
"""In an offer: words that the person is to replace, and whole command lines."""
TRIED = 60
PIECES = (
    *("://", "//", "/", "\\", ":", "@", "?", "#", "&", "=", "%20", "%3F", " ", "\t", "\n", "\x00", "..", ".", "~", "-"),
    *("https://", "file:", "user:word@", "localhost:8080", "{{x}}", "${x}", "$(x)", "'", '"', "é", "名", "\u202e", "1"),
)


class Refusals(OfKind):
    """Of bad texts, of any text, and of texts with a secret."""

    def test_a_bad_text_is_refused(self, declared: SourceKind, refused: str) -> None:
        """What cannot be meant is refused where it is typed, with a sentence and, where possible, what to type."""
        read = _read(declared, refused)
        assert isinstance(read, SourceError), f"{refused!r} was taken, as {read}"
        assert read.why.endswith("."), f"why: {read.why!r} is no sentence"
        _is_taken(declared, read)

    def test_any_text_is_a_source_or_a_refusal(self, declared: SourceKind) -> None:
        """Whatever people paste: a source in its normal form, or SourceError with a sentence; no other exception."""
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        parts = sorted({part for text in (*self.good, declared.form) for part in re.split(r"(\W)", text) if part})
        piece = st.sampled_from([*parts, *self.good, *PIECES]) | st.text(max_size=4)

        @settings(derandomize=True, max_examples=TRIED, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(piece, max_size=7).map("".join))
        def any_text(text: str) -> None:
            read = _read(declared, text)
            declared.recognises(text)
            if isinstance(read, SourceError):
                assert read.why.endswith("."), f"why: {read.why!r} is no sentence"
                _is_taken(declared, read)
            else:
                assert reader(declared, read).parse(str(read), BASE) == read, "its printed form is another source"
                assert str(read).encode(), "its printed form cannot be written"

        any_text()

    def test_no_secret_is_repeated(self, declared: SourceKind) -> None:
        """A secret that was pasted in is never shown, and no address with one is taken: jobs are kept in the clear."""
        for text in _with_secrets([*self.good, declared.form]):
            read = _read(declared, text)
            if isinstance(read, SourceError):
                told = f"{read.why} {read.instead} {read}"
                assert SECRET not in told, f"the refusal of {text!r} repeats the secret: {told}"
            else:
                assert not targets.is_address(str(read)), f"an address with a secret was taken: {text!r}"
                shown = redact(str(read), declared.schemes)
                assert SECRET not in shown, f"{text!r} was taken, and is shown with its secret: {shown}"

    def test_no_secret_reaches_the_screen(self, declared: SourceKind, probed: None) -> None:
        """The same at the command line, where what was typed is shown beside what is wrong with it."""
        words = [
            word
            for text, flag in zip(_with_secrets([*self.good][:1]), _flags(declared), strict=False)
            for word in (flag, text)
        ]
        answer = command_line.run("explain", probe.NAME, "--platform", probe.NAME, *words)
        assert SECRET not in answer.stdout + answer.stderr, str(answer)


def _read(kind: SourceKind, text: str) -> Source | SourceError:
    try:
        return kind.parse(text, BASE)
    except SourceError as refused:
        return refused


def _is_taken(kind: SourceKind, refused: SourceError) -> None:
    """What is offered in place of a refused text must do, as it stands."""
    if refused.instead and not re.search(LEFT_OPEN, refused.instead):
        offered = _read(kind, refused.instead)
        assert not isinstance(offered, SourceError), f"offered instead, and refused itself: {refused.instead!r}"


def _flags(kind: SourceKind) -> Iterator[str]:
    """Each flag as often as it can be given."""
    for flag in kind.roles.values():
        yield from [flag.flag] * (len(string.ascii_lowercase) if flag.repeatable else 1)


def _with_secrets(texts: list[str]) -> Iterator[str]:
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
