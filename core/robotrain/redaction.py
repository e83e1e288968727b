"""What may be shown of a text that a person typed: secrets are left out, whatever shape the text has.

Where a secret ends cannot be known in a broken address, so everything after a `?`, a `#` or a `sig=` goes: showing too
little costs a look at one's own command line, showing too much costs a key.
"""

import functools
import re
from collections.abc import Callable

LONGEST = 200
HIDDEN = "<redacted>"

_AT = r"(?:@|＠|%(?:25)*40)"
_COLON = r"(?::|：|%(?:25)*3a)"
_EQUALS = r"(?:=|＝|%(?:25)*3d)"
_CUT = r"(?:[?#？＃]|%(?:25)*(?:3f|23))"
_SCHEME = r"(?<![a-z0-9+.-])[a-z0-9+.-]+:[/\\]+(?![/\\])"
_SAS = r"(?:(?:25)*(?:26|3f))?s(?:v|s|rt|p|e|t|pr|r|ip|i|dd|cid|koid|ktid|kt|ke|ks|kv|aoid|uoid)"
_SECRETS = r"key|token|secret|pass|password|passwd|pwd|passphrase|signature|credentials?|authorization|sas|sig"
_NAME = rf"(?<![\w.-])(?:[\w.-]*(?:{_SECRETS})|{_SAS})"

_USERINFO = (
    rf"({_SCHEME})(?=[^/\\]*(?:{_AT}|{_COLON}))(.*{_AT})(.*)",
    rf"((?<![a-z0-9+.-])https?:[/\\]+(?![/\\]))(?=[^/\\.]*[/\\])(.*{_AT})(.*)",  # no host has no dot: `https://pass/word@host`
)
_TOKENS = (
    r"hf_[a-z0-9]{16,}",
    r"gh[opsur]_[a-z0-9]{16,}",
    r"github_pat_\w{16,}",
    r"wandb_v\d_\w{16,}",
    r"(?<![a-z0-9])sk-(?:\w+-){0,8}\w{16}[\w-]*",
    r"(?-i:eyJ)[\w-]{8,}[\w.%=+-]*",
    r"(?-i:A[KS]IA[0-9A-Z]{12,})",
    r"[a-z0-9+/]{86}==",
)
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*(?::[0-9]{1,5})?"
_NAMED = rf"(?:{_HOST}/(?:{_PART}/)*{_PART}|(?:{_PART}/)+{_PART}|{_PART}(?=:[0-9]+\.[0-9]))"
"""An image; without a folder only with a version: `name:word` is a user with a password as well."""
_IMAGE = (
    rf"(?<![^\s\"'`(\[{{<,=])({_NAMED}(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}})?)"
    r"(@sha256:(?:[0-9a-f]{64}(?![0-9a-f])|[0-9a-f]*…\Z))"
)
"""A container image by its digest, which is no host: what stands before the `@` is no password for it. The digest may
have been cut.
"""
_HELD = str.maketrans("@:", "\ue000\ue001")
_FREED = str.maketrans("\ue000\ue001", "@:")
"""What the `@` and the `:` of a digest are called while no rule may look at them; the world uses neither."""
_TOLD = rf"(?:(?<=[\s\"'`(\[{{<])|\A)({_SCHEME}{HIDDEN})@"
"""An address without its password, in a sentence: nothing before it is a user."""
_KEYS = (
    r"(?-i:(A[KS]IA[0-9A-Z]{12,}))([\s,;:/|\"']+)[a-z0-9/+]{40}(?![a-z0-9/+])",
    rf"((?<![\w.-])[\w.-]*(?:{_SECRETS})(?:\s+is)?)(\s+[\"']?)[a-z0-9/+]{{40}}(?![a-z0-9/+])",
)
"""Keys that look like a commit or a path, beside what says that they are keys."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _userinfo(match: re.Match[str]) -> str:
    before, hidden, after = match.groups()
    if _compile(_CUT).search(hidden):  # then what follows the `@` may belong to the query
        after = HIDDEN
    return f"{before}{HIDDEN}@{after}"


@functools.cache
def _rules(
    schemes: tuple[str, ...], free: bool
) -> tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]:
    """Every pattern and what takes its place, in order; compiled when first needed, to keep the import light.

    free: an `@` may be held, as of `_HELD`.
    """
    names = "".join(f"{re.escape(scheme)}:|" for scheme in schemes)
    return (
        *((_compile(pattern), _userinfo) for pattern in _USERINFO),
        *([(_compile(_TOLD), "\\1\ue000")] if free else ()),
        (_compile(rf"^(?!{_SCHEME}|{names}/(?!/)|\.\.?/|~)()((?:(?!{_COLON}).)*{_COLON}.*{_AT})(.*)"), _userinfo),
        (_compile(rf"({_CUT}).+"), rf"\1{HIDDEN}"),
        (_compile(rf"(?<![^\s/\\@:?#])(?!{names}(?!))[^\s/\\@:?#]*:[^\s/\\@?#]*{_AT}"), f"{HIDDEN}@"),
        (_compile(rf"({_NAME}[\"']?)\s*({_EQUALS})\s*\S.*"), rf"\1\2{HIDDEN}"),
        (_compile(rf"({_NAME})(?:[\"']\s*:|:(?=\s))\s*\S.*"), rf"\1: {HIDDEN}"),
        (_compile(r"\b(bearer)\s+\S.*"), rf"\1 {HIDDEN}"),
        *((_compile(pattern), rf"\1\2{HIDDEN}") for pattern in _KEYS),
        *((_compile(pattern), HIDDEN) for pattern in _TOKENS),
    )


def redact(text: str, schemes: tuple[str, ...] = (), longest: int = LONGEST) -> str:
    """`text` fit to be shown: no query, fragment, password or token, control characters escaped, at most 200 long.

    schemes: words that before a colon are no user with a password: `scheme:name@label` is left as it is.
    """
    shown = _once(text, schemes, longest)
    while shown != text:  # what one rule leaves may be what another looks for
        text, shown = shown, _once(shown, schemes, longest)
    return shown


def holds_secret(text: str) -> bool:
    """Whether a text that would be kept, in a plan or a record, carries what only a secret looks like."""
    patterns = (rf"{_SCHEME}[^/\\?#\s]*:[^/\\?#\s]*{_AT}", r"[?&;]sig=", r"(?:account|sharedaccess)key=", *_TOKENS)
    return any(_compile(pattern).search(text) for pattern in patterns)


def told(text: str) -> str:
    """A text of a plugin, as it may be shown and kept: what holds no secret is left as it was said."""
    return redact(text, longest=1000) if holds_secret(text) else text


def _once(text: str, schemes: tuple[str, ...], longest: int) -> str:
    if image := re.fullmatch(_IMAGE, text):
        return _once(image[1], schemes, longest - len(image[2])) + image[2]
    free = re.search("[\ue000\ue001]", text) is None
    if free and "@sha256:" in text:
        text = re.sub(_IMAGE, lambda image: image[1] + image[2].translate(_HELD), text)
    for pattern, replacement in _rules(schemes, free):
        text = pattern.sub(replacement, text)
    text = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return _cut(text.translate(_FREED) if free else text, longest)


def _cut(text: str, longest: int) -> str:
    """The beginning of a long text; a mark of what was hidden is kept whole."""
    if len(text) <= longest:
        return text
    end = longest - len(HIDDEN) - 1
    start = text.rfind(HIDDEN, 0, end + len(HIDDEN))
    if start >= 0:
        end = max(end, start + len(HIDDEN))
    return text[:end] + "…" if end < len(text) else text
