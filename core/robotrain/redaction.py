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
    r"(?<![a-z0-9])sk-(?:\w+-){0,8}\w{16}[\w-]*",
    r"(?-i:eyJ)[\w-]{8,}[\w.%=+-]*",
    r"(?-i:A[KS]IA[0-9A-Z]{12,})",
    r"[a-z0-9+/]{86}==",
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _userinfo(match: re.Match[str]) -> str:
    before, hidden, after = match.groups()
    if _compile(_CUT).search(hidden):  # then what follows the `@` may belong to the query
        after = HIDDEN
    return f"{before}{HIDDEN}@{after}"


@functools.cache
def _rules(schemes: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]:
    """Every pattern and what takes its place, in order; compiled when first needed, to keep the import light."""
    names = "".join(f"{re.escape(scheme)}:|" for scheme in schemes)
    return (
        *((_compile(pattern), _userinfo) for pattern in _USERINFO),
        (_compile(rf"^(?!{_SCHEME}|{names}/(?!/)|\.\.?/|~)()((?:(?!{_COLON}).)*{_COLON}.*{_AT})(.*)"), _userinfo),
        (_compile(rf"({_CUT}).+"), rf"\1{HIDDEN}"),
        (_compile(rf"(?<![^\s/\\@:?#])(?!{names}(?!))[^\s/\\@:?#]*:[^\s/\\@?#]*{_AT}"), f"{HIDDEN}@"),
        (_compile(rf"({_NAME}[\"']?)\s*({_EQUALS})\s*\S.*"), rf"\1\2{HIDDEN}"),
        (_compile(rf"({_NAME})(?:[\"']\s*:|:(?=\s))\s*\S.*"), rf"\1: {HIDDEN}"),
        (_compile(r"\b(bearer)\s+\S.*"), rf"\1 {HIDDEN}"),
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


def _once(text: str, schemes: tuple[str, ...], longest: int) -> str:
    for pattern, replacement in _rules(schemes):
        text = pattern.sub(replacement, text)
    return _cut(_CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text), longest)


def _cut(text: str, longest: int) -> str:
    """The beginning of a long text; a mark of what was hidden is kept whole."""
    if len(text) <= longest:
        return text
    end = longest - len(HIDDEN) - 1
    start = text.rfind(HIDDEN, 0, end + len(HIDDEN))
    if start >= 0:
        end = max(end, start + len(HIDDEN))
    return text[:end] + "…" if end < len(text) else text
