"""Redaction of secrets in texts.

The end of a secret in a malformed address is unknown, so everything after `?`, `#` or `sig=` is hidden.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from robotrain.secret_rules import (
    AT,
    SCHEME,
    compile_pattern,
    find_named_secret,
    find_secret_arguments,
    list_possible_shapes,
)
from robotrain.secret_rules import holds_secret as holds_secret
from robotrain.secret_rules import value_holds_secret as value_holds_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_LENGTH = 200
MAX_SENTENCE = 1000
HIDDEN = "<redacted>"
MIN_WORD = 4
"""Length of a word from which on a suggestion that repeats it is dropped."""
MIN_RUN = 8
"""Letters and digits in a row of something hidden from which on a suggestion that has them is dropped."""
MAX_REMEMBERED = 4096

_COLON = r"(?::|：|%(?:25)*3a)"
_EQUALS = r"(?:=|＝|%(?:25)*3d)"
_QUERY_START = r"(?:[?#？＃]|%(?:25)*(?:3f|23))"
_SAS = r"(?:(?:25)*(?:26|3f))?s(?:v|s|rt|p|e|t|pr|r|ip|i|dd|cid|koid|ktid|kt|ke|ks|kv|aoid|uoid)"
_SECRETS = r"key|token|secret|pass|password|passwd|pwd|passphrase|signature|credentials?|authorization|sas|sig"
_NAME = rf"(?<![\w.-])(?:[\w.-]*(?:{_SECRETS})|{_SAS})"

_USERINFO = (
    rf"({SCHEME})(?=[^/\\]*(?:{AT}|{_COLON}))(.*{AT})(.*)",
    rf"((?<![a-z0-9+.-])https?:[/\\]+(?![/\\]))(?=[^/\\.]*[/\\])(.*{AT})(.*)",  # no host has no dot: `https://pass/word@host`
)
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*(?::[0-9]{1,5})?"
_IMAGE_NAME = rf"(?:{_HOST}/(?:{_PART}/)*{_PART}|(?:{_PART}/)+{_PART}|{_PART}(?=:[0-9]+\.[0-9]))"
"""An image; without a folder only with a version, because `name:word` could be a user with a password."""
_IMAGE = (
    rf"(?<![^\s\"'`(\[{{<,=])({_IMAGE_NAME}(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}})?)"
    r"(@sha256:(?:[0-9a-f]{64}(?![0-9a-f])|[0-9a-f]*…\Z))"
)
"""A container image by its digest, possibly truncated: the text before the `@` is not a password."""
_TO_PLACEHOLDERS = str.maketrans("@:", "\ue000\ue001")
_FROM_PLACEHOLDERS = str.maketrans("\ue000\ue001", "@:")
"""Private-use characters that hide the `@` and `:` of a digest from the rules."""
_REDACTED_ADDRESS = rf"(?:(?<=[\s\"'`(\[{{<])|\A)({SCHEME}{HIDDEN})@"
"""An address in a sentence whose password is already hidden."""
_KEYS = (
    r"(?-i:(A[KS]IA[0-9A-Z]{12,}))([\s,;:/|\"']+)[a-z0-9/+]{40}(?![a-z0-9/+])",
    rf"((?<![\w.-])[\w.-]*(?:{_SECRETS})(?:\s+is)?)(\s+[\"']?)[a-z0-9/+]{{40}}(?![a-z0-9/+])",
)
"""Keys that look like a commit or a path, after a word for a key."""
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def _hide_userinfo(match: re.Match[str]) -> str:
    before, hidden, after = match.groups()
    if compile_pattern(_QUERY_START).search(hidden):  # the text after the `@` may belong to the query
        after = HIDDEN
    return f"{before}{HIDDEN}@{after}"


_FOLD = str.maketrans("İı", "ii")
"""With `str.casefold`, what `re.IGNORECASE` takes for an ASCII letter becomes it."""
_AT_MARKERS, _EQUALS_MARKERS = ("@", "＠", "40"), ("=", "＝", "3d")
_QUERY_MARKERS = ("?", "#", "？", "＃", "3f", "23")
_KEY_MARKERS = ("key", "token", "secret", "pass", "pwd", "signature", "credential", "authorization", "sas", "sig")


def _fold_letters(text: str) -> str:
    return text.translate(_FOLD).casefold()


@functools.cache
def _list_rules(
    schemes: tuple[str, ...], uses_placeholders: bool
) -> tuple[tuple[tuple[str, ...], str, str | Callable[[re.Match[str]], str]], ...]:
    """Return the rules in their order: markers, one of which is in every text that the pattern matches; pattern;
    replacement. Most texts have no marker, so that most patterns are not compiled: this takes 10 % of a render.

    :param uses_placeholders: the text may contain `_TO_PLACEHOLDERS`.
    """
    names = "".join(f"{re.escape(scheme)}:|" for scheme in schemes)
    before = rf"^(?!{SCHEME}|{names}/(?!/)|\.\.?/|~)()((?:(?!{_COLON}).)*{_COLON}.*{AT})(.*)"
    within = rf"(?<![^\s/\\@:?#])(?!{names}(?!))[^\s/\\@:?#]*:[^\s/\\@?#]*{AT}"
    return (
        *((_AT_MARKERS, pattern, _hide_userinfo) for pattern in _USERINFO),
        *([((f"{HIDDEN}@",), _REDACTED_ADDRESS, "\\1\ue000")] if uses_placeholders else ()),
        (_AT_MARKERS, before, _hide_userinfo),
        (_QUERY_MARKERS, rf"({_QUERY_START}).+", rf"\1{HIDDEN}"),
        (_AT_MARKERS, within, f"{HIDDEN}@"),
        (_EQUALS_MARKERS, rf"({_NAME}[\"']?)\s*({_EQUALS})\s*\S.*", rf"\1\2{HIDDEN}"),
        ((":",), rf"({_NAME})(?:[\"']\s*:|:(?=\s))\s*\S.*", rf"\1: {HIDDEN}"),
        (("bearer",), r"\b(bearer)\s+\S.*", rf"\1 {HIDDEN}"),
        *((_KEY_MARKERS if index else ("ia",), pattern, rf"\1\2{HIDDEN}") for index, pattern in enumerate(_KEYS)),
    )


def redact(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    original = text = _hide_typed_secrets(text[: max(MAX_REMEMBERED, 4 * max_length)])  # the rest is never shown
    redacted = _apply_rules(text, schemes, max_length)
    while redacted != text:  # the result of one rule may match another
        text, redacted = redacted, _apply_rules(redacted, schemes, max_length)
    if HIDDEN in redacted:
        if len(_hidden_parts) >= MAX_REMEMBERED:  # a process may redact for days
            _hidden_parts.clear()
        hidden = _list_hidden_parts(original, redacted)
        _hidden_parts[redacted] = hidden | _hidden_parts.get(redacted, frozenset())  # it may be redacted a second time
    return redacted


def hide_secret_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command-line arguments with each secret among them hidden, also one behind its option."""
    found = {*find_secret_arguments(arguments)}
    redacted = [redact(text) if index in found else text for index, text in enumerate(arguments)]
    return [HIDDEN if index in found and HIDDEN not in text else text for index, text in enumerate(redacted)]


def redact_if_secret(text: str) -> str:
    """Return a text that is no single value, redacted only if it contains a secret."""
    text = _hide_typed_secrets(text)
    return redact(text, max_length=MAX_SENTENCE) if value_holds_secret(text) else text


_typed_secrets: set[str] = set()
"""The secrets among the unknown words of a command line that only their names tell."""


def remember_secrets(arguments: Sequence[str]) -> None:
    """Hide from now on the values of unknown options that are named like secrets, wherever they stand.

    What suggests another option with the value, for example, does not know that it is a secret.
    """
    _typed_secrets.clear()
    for index in find_secret_arguments(arguments):
        text = arguments[index]
        start = find_named_secret(text)
        value = text[start:] if start is not None else "" if holds_secret(text) else text
        if len(value) >= MIN_WORD and not arguments[index - 1].endswith(("-credential", "-credentials")):
            _typed_secrets.add(value)


def _hide_typed_secrets(text: str) -> str:
    for secret in _typed_secrets:
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def can_repeat(value: str) -> bool:
    """Return whether a suggestion may repeat a value: nothing in it would be hidden."""
    return HIDDEN not in redact(value)


def redact_argument(arguments: Sequence[str], index: int) -> str:
    """Return a command-line argument with a secret for a message, after its option if that names the secret."""
    shown = redact(arguments[index])
    is_shown = HIDDEN in shown and (shown != HIDDEN or not arguments[index - 1].startswith("-"))
    return shown if is_shown else f"{redact(arguments[index - 1])} {HIDDEN}"


_hidden_parts: dict[str, frozenset[str]] = {}
"""What `redact` hid in this process, by the text that it returned: letters and digits of each part and word."""


def _squeeze(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _list_words(text: str) -> frozenset[str]:
    return frozenset(word for word in map(_squeeze, re.split(r"[\W_]+", text)) if len(word) >= MIN_WORD)


def _list_hidden_parts(original: str, redacted: str) -> frozenset[str]:
    original, shown = original.replace(HIDDEN, " "), redacted.removesuffix("…").split(HIDDEN)
    pieces, rest = list[str](), original.removeprefix(shown[0])
    for text in shown[1:]:
        hidden, found, after = rest.partition(text) if text else (rest, "", "")
        rest = after if found else rest
        pieces.append(_squeeze(hidden))
    return (_list_words(original) - _list_words(" ".join(shown))) | {one for one in pieces if len(one) >= MIN_WORD}


def _repeats(text: str, hidden: frozenset[str]) -> bool:
    """Return whether a text has a word that was hidden, or a run of letters and digits of it, whatever is between."""
    squeezed, words = _squeeze(text), _list_words(text)
    return not hidden.isdisjoint(words) or any(
        part[start : start + MIN_RUN] in squeezed
        for part in hidden
        if len(part) >= MIN_RUN
        for start in range(len(part) - MIN_RUN + 1)
    )


def redact_report(
    texts: Mapping[str, str], suggestions: Iterable[Sequence[str]]
) -> tuple[dict[str, str], list[list[str]]]:
    """Return texts by name and suggestions as they are shown: no secrets, no control characters, no long text.

    A suggestion made from a value, part of which is hidden elsewhere in the report, is dropped: it would repeat that.
    """
    redacted = {name: redact_sentence(text) for name, text in texts.items()}
    shown = "\n".join(redacted.values())
    hidden = frozenset().union(*(parts for text, parts in _hidden_parts.items() if HIDDEN in shown and text in shown))
    ways = [[redact_sentence(text) for text in each] for each in suggestions]
    return redacted, [each for each in ways if not (hidden and _repeats(" ".join(each), hidden))]


def redact_sentence(text: str) -> str:
    """Return a sentence that others wrote as it is shown: redacted only if it certainly contains a secret."""
    text = "\n".join(escape_controls(line) for line in redact_if_secret(text).split("\n"))
    return _truncate(text, MAX_SENTENCE)


def escape_controls(text: str) -> str:
    """Return a text with its control characters escaped, ends of lines among them."""
    if text.isprintable():  # compiling the pattern takes longer than many commands redact
        return text
    return compile_pattern(_CONTROL).sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@functools.lru_cache(MAX_REMEMBERED)
def _apply_rules(text: str, schemes: tuple[str, ...], longest: int) -> str:
    """Return a text after each rule was applied once, and truncated."""
    has_digest = "@sha256:" in text
    if has_digest and (image := re.fullmatch(_IMAGE, text)):
        return _apply_rules(image[1], schemes, longest - len(image[2])) + image[2]
    uses_placeholders = not {"\ue000", "\ue001"} & {*text}  # else the text itself contains them
    if uses_placeholders and has_digest:
        text = re.sub(_IMAGE, lambda image: image[1] + image[2].translate(_TO_PLACEHOLDERS), text)
    folded = _fold_letters(text)
    for markers, pattern, replacement in _list_rules(schemes, uses_placeholders):
        if any(marker in folded for marker in markers):
            text = compile_pattern(pattern).sub(replacement, text)
            folded = _fold_letters(text)
    for pattern in list_possible_shapes(text):
        text = compile_pattern(pattern).sub(HIDDEN, text)
    if (start := find_named_secret(text)) is not None:
        text = text[:start] + HIDDEN
    text = escape_controls(text)
    return _truncate(text.translate(_FROM_PLACEHOLDERS) if uses_placeholders else text, longest)


def _truncate(text: str, longest: int) -> str:
    """Return the beginning of a long text, without cutting a mark of a hidden secret."""
    if len(text) <= longest:
        return text
    end = longest - len(HIDDEN) - 1
    start = text.rfind(HIDDEN, 0, end + len(HIDDEN))
    if start >= 0:
        end = max(end, start + len(HIDDEN))
    return text[:end] + "…" if end < len(text) else text
