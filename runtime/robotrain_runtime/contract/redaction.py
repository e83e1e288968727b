"""Hiding of secrets in texts: the rules for what is printed, logged and stored, on both sides.

The end of a secret in a malformed address is unknown, so everything after `?`, `#` or `sig=` is hidden.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from robotrain_runtime.contract.secret_rules import (
    AT,
    SCHEME,
    compile_pattern,
    find_named_secret,
    list_possible_shapes,
    value_holds_secret,
)

EventType = TypeVar("EventType")

MAX_LENGTH = 200
MAX_SENTENCE = 1000
HIDDEN = "<redacted>"
HIDDEN_NAME = "redacted"
"""The same in the name of a metric or tag: tracking takes no brackets there."""
MAX_REMEMBERED = 4096
KEY_BEGIN, KEY_END = "-----BEGIN ", "-----END "
MAX_KEY_LINES = 100
"""Lines after the beginning of a private key that may belong to it, if its end does not come."""
MIN_KEY_WORD = 16
"""Letters of a line of a key, behind a prefix or after other lines."""
KEY_HEADERS = ("Proc-Type:", "DEK-Info:", "Version:", "Comment:")
"""Lines between the beginning of a key and its body."""
_KEY_BODY = "[a-z0-9+/=]+"

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
_IMAGE_NAME = rf"(?:{_HOST}/(?:{_PART}/)*{_PART}|(?:{_PART}/)+{_PART}|{_PART}(?=:(?:latest@|v?[0-9])))"
"""An image; without a folder only with a version, because `name:word` could be a user with a password."""
_IMAGE = (
    rf"(?<![^\s\"'`(\[{{<,=])((?:docker://|oci://)?{_IMAGE_NAME}(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}})?)"
    r"(@sha256:(?:[0-9a-f]{6,64}(?![0-9a-zA-Z])|[0-9a-f]*…\Z))"
)
"""A container image by its digest, possibly truncated: the text before the `@` is not a password."""
_END = r"(?=[.,;]?(?:[\s\"'`)\]}>,;]|\Z))"
_HARMLESS = (
    ("@sha256:", _IMAGE),
    ("azureml:", rf"(?<![\w+.@/-])(azureml:[\w.-]+)(@[\w-]+){_END}"),
    ("models:/", rf"(?<![\w+.@/-])(models:/[\w.-]+)(@[\w-]+){_END}"),
    (
        "://",
        r"(?<![\w+.@/-])((?:abfss?|wasbs?)://[\w$-]{1,63})(@)(?=[\w-]+\.(?:dfs|blob)\.[\w.-]+(?:[/\s\"'`)\]}>,;]|\Z))",
    ),
    ("ssh://", r"(?<![\w+.@/-])((?:git\+)?ssh://[\w-]{1,32})(@)(?=[\w.-]+(?:[:/\s\"'`)\]}>,;]|\Z))"),
)
"""What is no password before an `@`: a text that is in it, and the pattern, whose second group begins with the `@`.

An image, an asset or a model before its label, a container before its account, a user of ssh."""
_TO_PLACEHOLDERS = str.maketrans("@:", "\ue000\ue001")
_FROM_PLACEHOLDERS = str.maketrans("\ue000\ue001", "@:")
"""Private-use characters that hide the `@` and `:` of what is harmless from the rules."""
_REDACTED_ADDRESS = rf"(?:(?<=[\s\"'`(\[{{<])|\A)({SCHEME}{HIDDEN})@"
"""An address in a sentence whose password is already hidden."""
_KEYS = (
    r"(?-i:(A[KS]IA[0-9A-Z]{12,}))([\s,;:/|\"']+)[a-z0-9/+]{40}(?![a-z0-9/+])",
    rf"((?<![\w.-])[\w.-]*(?:{_SECRETS})(?:\s+is)?)(\s+[\"']?)[a-z0-9/+]{{40}}(?![a-z0-9/+])",
)
"""Keys that look like a commit or a path, after a word for a key."""
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def _hide_userinfo(match: re.Match[str]) -> str:
    text_before, userinfo, text_after = match.groups()
    if compile_pattern(_QUERY_START).search(userinfo):  # the text after the `@` may belong to the query
        text_after = HIDDEN
    return f"{text_before}{HIDDEN}@{text_after}"


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
    scheme_pattern = "".join(f"{re.escape(scheme)}:|" for scheme in schemes)
    leading_pattern = rf"^(?!{SCHEME}|{scheme_pattern}/(?!/)|\.\.?/|~)()((?:(?!{_COLON}).)*{_COLON}.*{AT})(.*)"
    inner_pattern = rf"(?<![^\s/\\@:?#])(?!{scheme_pattern}(?!))[^\s/\\@:?#]*:[^\s/\\@?#]*{AT}"
    return (
        *((_AT_MARKERS, pattern, _hide_userinfo) for pattern in _USERINFO),
        *([((f"{HIDDEN}@",), _REDACTED_ADDRESS, "\\1\ue000")] if uses_placeholders else ()),
        (_AT_MARKERS, leading_pattern, _hide_userinfo),
        (_QUERY_MARKERS, rf"({_QUERY_START}).+", rf"\1{HIDDEN}"),
        (_AT_MARKERS, inner_pattern, f"{HIDDEN}@"),
        (_EQUALS_MARKERS, rf"({_NAME}[\"']?)\s*({_EQUALS})\s*\S.*", rf"\1\2{HIDDEN}"),
        ((":",), rf"({_NAME})(?:[\"']\s*:|:(?=\s))\s*\S.*", rf"\1: {HIDDEN}"),
        (("bearer",), r"\b(bearer)\s+\S.*", rf"\1 {HIDDEN}"),
        *((_KEY_MARKERS if index else ("ia",), pattern, rf"\1\2{HIDDEN}") for index, pattern in enumerate(_KEYS)),
    )


def hide_secrets(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    redacted = _apply_rules(text, schemes, max_length)
    while redacted != text:  # the result of one rule may match another
        text = redacted
        redacted = _apply_rules(redacted, schemes, max_length)
    return redacted


typed_secrets: set[str] = set()
"""The secrets among the unknown words of a command line that only their names tell."""


def redact(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    text = text[: max(MAX_REMEMBERED, 4 * max_length)]  # the rest is never shown
    return hide_secrets(hide_typed_secrets(text), schemes, max_length)


def redact_if_secret(text: str) -> str:
    """Return a text that is no single value, redacted only if it contains a secret."""
    text = hide_typed_secrets(text)
    return redact(text, max_length=MAX_SENTENCE) if value_holds_secret(text) else text


def redact_sentence(sentence: str) -> str:
    """Return a sentence that others wrote as it is shown: redacted only if it certainly contains a secret."""
    sentence = "\n".join(escape_controls(line) for line in redact_if_secret(sentence).split("\n"))
    return truncate(sentence, MAX_SENTENCE)


def hide_typed_secrets(text: str) -> str:
    """Return a text without the secrets of the command line."""
    for secret in typed_secrets:
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def hide_if_secret(text: str) -> str:
    """Return a line or a sentence with its secrets hidden; one without a secret stays as it is."""
    return hide_secrets(text[: 4 * MAX_SENTENCE], max_length=MAX_SENTENCE) if value_holds_secret(text) else text


class KeyBodyHider:
    """Hides the lines of private keys that a program prints: the beginning of a key says what the next lines are."""

    def __init__(self) -> None:
        self._left = 0
        """How many further lines may belong to a key."""
        self._follows = False
        """Whether the last line belongs to one."""

    def hide(self, line: str) -> str:
        """Return the next line, or a mark in its place."""
        if KEY_BEGIN in line:
            begun = line.rpartition(KEY_BEGIN)[2]
            self._left = MAX_KEY_LINES if "PRIVATE KEY" in begun and KEY_END not in begun else self._left
            self._follows = self._left > 0
            return line  # the rules know its shape
        if not self._left:
            return line
        self._left = 0 if KEY_END in line else self._left - 1
        word = (line.split() or [""])[-1]
        is_alone = self._follows and word == line.strip()  # the last line of a key may be short
        is_body = compile_pattern(_KEY_BODY).fullmatch(word) and (is_alone or len(word) >= MIN_KEY_WORD)
        self._follows = bool(is_body) or (self._follows and (not word or line.startswith(KEY_HEADERS)))
        return HIDDEN if is_body else line


def hide_secrets_of_event(event: EventType) -> EventType:
    """Return an event with the secrets in its texts hidden, names of metrics included."""
    values_by_field = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}  # type: ignore[arg-type]
    changed_fields = {
        name: redacted_value
        for name, value in values_by_field.items()
        if (redacted_value := _hide_in_value(value)) != value
    }
    return dataclasses.replace(event, **changed_fields) if changed_fields else event  # type: ignore[type-var]


def _hide_in_value(json_value: Any) -> Any:
    if isinstance(json_value, str):
        return hide_if_secret(json_value)
    if isinstance(json_value, Mapping):
        return {
            hide_if_secret(name).replace(HIDDEN, HIDDEN_NAME): _hide_in_value(child)
            for name, child in json_value.items()
        }
    if isinstance(json_value, list | tuple):
        return tuple(map(_hide_in_value, json_value))
    return json_value


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
    if uses_placeholders and "@" in text:
        for marker, pattern in _HARMLESS:
            if marker in text:
                text = re.sub(pattern, lambda match: match[1] + match[2].translate(_TO_PLACEHOLDERS), text)
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
    return truncate(text.translate(_FROM_PLACEHOLDERS) if uses_placeholders else text, longest)


def truncate(text: str, longest: int) -> str:
    """Return the beginning of a long text, without cutting a mark of a hidden secret."""
    if len(text) <= longest:
        return text
    end = longest - len(HIDDEN) - 1
    start = text.rfind(HIDDEN, 0, end + len(HIDDEN))
    if start >= 0:
        end = max(end, start + len(HIDDEN))
    return text[:end] + "…" if end < len(text) else text
