"""Redaction of secrets in texts, and refusal of secrets in the answers of plugins.

The end of a secret in a malformed address is unknown, so everything after `?`, `#` or `sig=` is hidden.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from robotrain.errors import MAX_SENTENCE, Problem, Stage, Suggestion, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LENGTH = 200
HIDDEN = "<redacted>"
MIN_WORD = 4
"""Length of a word from which on a suggestion that repeats it is dropped."""
MAX_REMEMBERED = 4096

_AT = r"(?:@|＠|%(?:25)*40)"
_COLON = r"(?::|：|%(?:25)*3a)"
_EQUALS = r"(?:=|＝|%(?:25)*3d)"
_QUERY_START = r"(?:[?#？＃]|%(?:25)*(?:3f|23))"
_SCHEME = r"(?<![a-z0-9+.-])[a-z0-9+.-]+:[/\\]+(?![/\\])"
_SAS = r"(?:(?:25)*(?:26|3f))?s(?:v|s|rt|p|e|t|pr|r|ip|i|dd|cid|koid|ktid|kt|ke|ks|kv|aoid|uoid)"
_SECRETS = r"key|token|secret|pass|password|passwd|pwd|passphrase|signature|credentials?|authorization|sas|sig"
_NAME = rf"(?<![\w.-])(?:[\w.-]*(?:{_SECRETS})|{_SAS})"

_USERINFO = (
    rf"({_SCHEME})(?=[^/\\]*(?:{_AT}|{_COLON}))(.*{_AT})(.*)",
    rf"((?<![a-z0-9+.-])https?:[/\\]+(?![/\\]))(?=[^/\\.]*[/\\])(.*{_AT})(.*)",  # no host has no dot: `https://pass/word@host`
)
_TOKENS = {
    "hf_": r"hf_[a-z0-9]{16,}",
    "gh": r"gh[opsur]_[a-z0-9]{16,}",
    "github_pat_": r"github_pat_\w{16,}",
    "wandb_v": r"wandb_v\d_\w{16,}",
    "sk-": r"(?<![a-z0-9])sk-(?:\w+-){0,8}\w{16}[\w-]*",
    "eyj": r"(?-i:eyJ)[\w-]{8,}[\w.%=+-]*",
    "ia": r"(?-i:A[KS]IA[0-9A-Z]{12,})",
    "==": r"[a-z0-9+/]{86}==",
    "xox": r"xox[a-z]-[a-z0-9-]{10,}",
    "xapp-": r"xapp-\d-[a-z0-9-]{10,}",
    "gl": r"(?<![a-z0-9])gl(?:pat|rt|cbt|ptt|ft|imt|agent|oas|dt|soat|ffct)-[\w-]{20,}",
    "aiza": r"(?-i:AIza[\w-]{35})",
    "ya29.": r"(?<![a-z0-9])ya29\.[\w-]{20,}",
    "gocspx-": r"GOCSPX-[\w-]{20,}",
    "nvapi-": r"(?<![a-z0-9])nvapi-[\w-]{20,}",
    "npm_": r"(?<![a-z0-9])npm_[a-z0-9]{36}",
    "pypi-": r"(?<![a-z0-9])pypi-[\w-]{50,}",
    "dapi": r"(?<![a-z0-9])dapi[a-f0-9]{32}(?:-\d)?",
    "dckr_": r"dckr_pat_[\w-]{20,}",
    "k_": r"(?<![a-z0-9])[sr]k_(?:live|test|prod)_\w{10,}",
    "q~": r"(?<![\w~.-])[\w~.-]{3}\d(?-i:Q)~[\w~.-]{31,34}",
    "-----begin": r"-----BEGIN[A-Z ]* PRIVATE KEY(?: BLOCK)?-----.*",
}
"""Tokens by their shape, each with lower-case text in it; most are rules of gitleaks 8 (config/gitleaks.toml)."""
_CREDENTIAL_NAME = (
    r"(?:(?:api|access|account|auth|client|database|db|encryption|license|master|private|secret|service|shared|signing"
    r"|storage)[-_.]?key|passw(?:or)?d|passphrase|pwd|secret|authorization|credentials?"
    r"|(?<!pad_)(?<!bos_)(?<!eos_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)(?<!image_)token)"
)
"""The end of a name whose value is a secret; `key` alone, or the `pad_token` of a tokenizer, is none."""
_NO_SECRET = (
    r"(?:|none|null|nil|true|false|auto|default|-?[\d.]{1,6}|\$\{?\w+\}?|\*+|x+|<[^>]*>|\{\w*\}|NAME|FILE|\.\.\.|…)"
)
_ASSIGNMENT = rf"(?<![a-z0-9])[\w.-]*{_CREDENTIAL_NAME}[\"']?(?:\s*=\s*|\s*:\s+|\s*:(?=[\"']))[\"']?([^\s\"',;&]*)"
_BEARER = r"\bauthorization\b\W+(?:bearer|basic|token)\s+\S|\bbearer\s+(?=\S*\d)[\w~+/.-]{16,}"
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
_REDACTED_ADDRESS = rf"(?:(?<=[\s\"'`(\[{{<])|\A)({_SCHEME}{HIDDEN})@"
"""An address in a sentence whose password is already hidden."""
_KEYS = (
    r"(?-i:(A[KS]IA[0-9A-Z]{12,}))([\s,;:/|\"']+)[a-z0-9/+]{40}(?![a-z0-9/+])",
    rf"((?<![\w.-])[\w.-]*(?:{_SECRETS})(?:\s+is)?)(\s+[\"']?)[a-z0-9/+]{{40}}(?![a-z0-9/+])",
)
"""Keys that look like a commit or a path, after a word for a key."""
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


@functools.cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _hide_userinfo(match: re.Match[str]) -> str:
    before, hidden, after = match.groups()
    if _compile(_QUERY_START).search(hidden):  # the text after the `@` may belong to the query
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
    before = rf"^(?!{_SCHEME}|{names}/(?!/)|\.\.?/|~)()((?:(?!{_COLON}).)*{_COLON}.*{_AT})(.*)"
    within = rf"(?<![^\s/\\@:?#])(?!{names}(?!))[^\s/\\@:?#]*:[^\s/\\@?#]*{_AT}"
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
        *(((marker,), pattern, HIDDEN) for marker, pattern in _TOKENS.items()),
    )


def redact(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    original = text = text[: max(MAX_REMEMBERED, 4 * max_length)]  # the rest is never shown
    redacted = _apply_rules(text, schemes, max_length)
    while redacted != text:  # the result of one rule may match another
        text, redacted = redacted, _apply_rules(redacted, schemes, max_length)
    if HIDDEN in redacted:
        if len(_hidden_words) >= MAX_REMEMBERED:  # a process may redact for days
            _hidden_words.clear()
        _hidden_words[redacted] = _list_words(original) - _list_words(redacted.replace(HIDDEN, " "))
    return redacted


def holds_secret(text: str) -> bool:
    """Return whether a text certainly contains a secret, so that it must not be stored."""
    lower = text.lower()  # most texts hold none of the markers: their patterns need not be compiled
    patterns = [pattern for marker, pattern in _TOKENS.items() if marker in lower]
    if (":/" in lower or ":\\" in lower) and any(one in lower for one in "@＠%"):
        patterns += [rf"{_SCHEME}[^/\\?#\s]*:[^/\\?#\s]*{_AT}", rf"(?<![a-z0-9+.-])https?:[/\\]+[^/\\?#\s@]+{_AT}"]
    if "sig=" in lower or "key=" in lower:
        patterns += [r"[?&;]sig=", r"(?:account|sharedaccess)key="]
    if "bearer" in lower or "authorization" in lower:
        patterns.append(_BEARER)
    return any(_compile(pattern).search(text) for pattern in patterns)


@functools.lru_cache(MAX_REMEMBERED)
def value_holds_secret(text: str) -> bool:
    """Return whether a user's value contains a secret, by its shape or by a name before it (`password=…`)."""
    if holds_secret(text):
        return True
    if "=" not in text and ":" not in text:
        return False
    assigned = (match[1] for match in _compile(_ASSIGNMENT).finditer(text))
    return any(not _compile(_NO_SECRET).fullmatch(value) for value in assigned)


def find_secret_arguments(arguments: Sequence[str]) -> list[int]:
    """Return the indices of command-line arguments with a secret, also one behind its option: `--api-key`, `KEY`."""
    found = [index for index, text in enumerate(arguments) if value_holds_secret(text)]
    for index, (name, value) in enumerate(pairwise(arguments), 1):
        is_option = not value.startswith("-") and _compile(rf"--?[\w.-]*{_CREDENTIAL_NAME}").fullmatch(name)
        if is_option and not _compile(_NO_SECRET).fullmatch(value):
            found.append(index)
    return sorted(set(found))


def hide_secret_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command-line arguments with each secret among them hidden, also one behind its option."""
    found = {*find_secret_arguments(arguments)}
    redacted = [redact(text) if index in found else text for index, text in enumerate(arguments)]
    return [HIDDEN if index in found and HIDDEN not in text else text for index, text in enumerate(redacted)]


def redact_if_secret(text: str) -> str:
    """Return a plugin's text, redacted only if it contains a secret."""
    return redact(text, max_length=1000) if holds_secret(text) else text


def redact_argument(arguments: Sequence[str], index: int) -> str:
    """Return a command-line argument with a secret for a message, after its option if that names the secret."""
    shown = redact(arguments[index])
    return shown if HIDDEN in shown else f"{redact(arguments[index - 1])} {HIDDEN}"


_hidden_words: dict[str, frozenset[str]] = {}
"""The words that `redact` hid in this process, by the text that it returned."""


def _list_words(text: str) -> frozenset[str]:
    return frozenset(word for word in re.split(r"[\W_]+", text.lower()) if len(word) >= MIN_WORD)


def redact_problem(problem: Problem) -> dict[str, Any]:
    """Return the fields of a problem for everyone's eyes: no secret, no control character, no long text.

    A suggestion made from a value, part of which is hidden elsewhere in the problem, is dropped: it would repeat that.
    """
    texts = {name: redact_sentence(getattr(problem, name)) for name in ("title", "where", "given", "why")}
    shown = "\n".join(texts.values())
    hidden = [words for text, words in _hidden_words.items() if HIDDEN in shown and text in shown]
    words = frozenset().union(*hidden)
    suggestions = [type(each)(*map(redact_sentence, each)) for each in problem.suggestions]
    return texts | {"suggestions": tuple(each for each in suggestions if not words & _list_words(" ".join(each)))}


def redact_sentence(text: str) -> str:
    """Return a sentence that others wrote, for everyone's eyes: redacted only if it certainly contains a secret."""
    text = "\n".join(_escape_controls(line) for line in redact_if_secret(text).split("\n"))
    return _truncate(text, MAX_SENTENCE)


def _escape_controls(text: str) -> str:
    if text.isprintable():  # compiling the pattern takes longer than many commands redact
        return text
    return _compile(_CONTROL).sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@functools.lru_cache(MAX_REMEMBERED)
def _apply_rules(text: str, schemes: tuple[str, ...], longest: int) -> str:
    has_digest = "@sha256:" in text
    if has_digest and (image := re.fullmatch(_IMAGE, text)):
        return _apply_rules(image[1], schemes, longest - len(image[2])) + image[2]
    free = not {"\ue000", "\ue001"} & {*text}
    if free and has_digest:
        text = re.sub(_IMAGE, lambda image: image[1] + image[2].translate(_TO_PLACEHOLDERS), text)
    folded = _fold_letters(text)
    for markers, pattern, replacement in _list_rules(schemes, free):
        if any(marker in folded for marker in markers):
            text = _compile(pattern).sub(replacement, text)
            folded = _fold_letters(text)
    text = _escape_controls(text)
    return _truncate(text.translate(_FROM_PLACEHOLDERS) if free else text, longest)


def _truncate(text: str, longest: int) -> str:
    """Return the beginning of a long text, without cutting a mark of a hidden secret."""
    if len(text) <= longest:
        return text
    end = longest - len(HIDDEN) - 1
    start = text.rfind(HIDDEN, 0, end + len(HIDDEN))
    if start >= 0:
        end = max(end, start + len(HIDDEN))
    return text[:end] + "…" if end < len(text) else text


def find_secrets_in_checkpoint(kind: str, uri: str, platform: str) -> Iterator[Problem]:
    """Yield a problem for an address with a secret, which another job would contain."""
    if holds_secret(uri):
        title = f"platform {platform} failed in outputs: its address of a {redact(kind)} contains a secret"
        yield make_secret_problem(title)


def require_no_secrets(reference: Mapping[str, str], platform: str) -> Mapping[str, str]:
    """Return the reference. Raise Unanswered if it contains a secret: it cannot be stored, but the run may exist."""
    if any(holds_secret(text) for pair in reference.items() for text in pair):
        title = f"platform {platform} failed: its reference to the run contains a secret"
        raise Unanswered([make_secret_problem(title)])
    return reference


def make_secret_problem(title: str) -> Problem:
    """Return the problem of a plugin whose answer contains a secret."""
    return Problem(
        code="plugin-failed",
        stage=Stage.SUBMIT,
        title=title,
        why="Plans and records are stored, shown and sent: they can contain only the name of a secret.",
        suggestions=(Suggestion("robotrain plugins", "shows its package"),),
    )
