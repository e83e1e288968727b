"""What is a secret: shapes of tokens, names whose values are secrets, addresses with a password.

Regular expressions are compiled only for texts that have a word of them: most texts have none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from itertools import pairwise

from robotrain_runtime.contract.secret_literals import MIN_CHARACTERS, find_secret_literal, has_secret_literal

NOTIFY_VARIABLE = "ROBOTRAIN_NOTIFY"
"""The secret of a job with the address of the webhook that the run itself tells how it ended."""
AT = r"(?:@|＠|%(?:25)*40)"
SCHEME = r"(?<![a-z0-9+.-])[a-z0-9+.-]+:[/\\]+(?![/\\])"
TOKENS = {
    "hf_": r"hf_[a-z0-9]{16,}",
    "api_org_": r"api_org_[a-z0-9]{16,}",
    "gh": r"gh[opsur]_[a-z0-9]{16,}",
    "github_pat_": r"github_pat_\w{16,}",
    "wandb_v": r"wandb_v\d_\w{16,}",
    "sk-": r"(?<![a-z0-9])sk-(?:\w+-){0,8}\w{16}[\w-]*",
    "gsk_": r"(?<![a-z0-9])gsk_[a-z0-9]{20,}",
    "xai-": r"(?<![a-z0-9])xai-[a-z0-9]{20,}",
    "eyj": r"(?-i:eyJ(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[A-Z])[\w-]{16,}[\w.%=+-]*)",
    "ia": r"(?-i:A[KS]IA[0-9A-Z]{12,})",
    "==": r"[a-z0-9+/]{86}==",
    "xox": r"xox[a-z]-\d[a-z0-9-]{9,}",
    "xapp-": r"xapp-\d-[a-z0-9-]{10,}",
    "hooks.slack.com/": r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w+/-]{16,}",
    "/webhooks/": r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]{16,}",
    ":aa": r"(?<!\d)\d{6,12}:(?-i:AA[\w-]{32,})",
    "gl": r"(?<![a-z0-9])gl(?:pat|rt|cbt|ptt|ft|imt|agent|oas|dt|soat|ffct)-[\w-]{20,}",
    "glsa_": r"(?<![a-z0-9])glsa_\w{24,}",
    "glc_": r"(?<![a-z0-9])glc_[a-z0-9+/]{24,}={0,2}",
    "aiza": r"(?-i:AIza[\w-]{35})",
    "ya29.": r"(?<![a-z0-9])ya29\.[\w-]{20,}",
    "gocspx-": r"GOCSPX-[\w-]{20,}",
    "nvapi-": r"(?<![a-z0-9])nvapi-[\w-]{20,}",
    "npm_": r"(?<![a-z0-9])npm_[a-z0-9]{36}",
    "pypi-": r"(?<![a-z0-9])pypi-[\w-]{50,}",
    "dapi": r"(?<![a-z0-9])dapi[a-f0-9]{32}(?:-\d)?",
    "dose": r"(?<![a-z0-9])dose[a-f0-9]{32}",
    "_v1_": r"(?<![a-z0-9])do[opr]_v1_[a-f0-9]{32,}",
    "dp.": r"(?<![a-z0-9])dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}",
    "sg.": r"(?<![a-z0-9])(?-i:SG\.[\w-]{16,}\.[\w-]{16,})",
    "hv": r"(?<![a-z0-9])hv[sbr]\.[\w-]{20,}",
    "dckr_": r"dckr_pat_[\w-]{20,}",
    "k_": r"(?<![a-z0-9])[sr]k_(?:live|test|prod)_\w{10,}",
    "q~": r"(?<![\w~.-])[\w~.-]{3}\d(?-i:Q)~[\w~.-]{31,34}",
    "sig=": r"(?<![a-z0-9_-])sig=[\w%+/-]{30,}",
    "-----begin": r"-----BEGIN[A-Z ]* PRIVATE KEY(?: BLOCK)?-----.*",
}
"""Tokens by their shape, each with lower-case text in it, wider than gitleaks has them in `gitleaks_shapes`."""
MIN_TOKEN = 12
"""Characters, without a blank, of a token that gitleaks knows."""


@functools.cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern of a rule."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@functools.cache
def _list_shapes() -> tuple[tuple[str, str], ...]:
    """Return the shapes that gitleaks knows: a text in lower case, and the pattern of what has it."""
    from robotrain_runtime.contract.gitleaks_shapes import SHAPES

    return tuple((marker, f"(?-is:{pattern})") for markers, pattern in SHAPES for marker in markers)


def list_possible_shapes(text: str) -> list[str]:
    """Return the patterns of those tokens that may be in a text, by the words in it."""
    lowercase_text = text.lower()
    patterns = [pattern for marker, pattern in TOKENS.items() if marker in lowercase_text]
    words = " ".join(word for word in lowercase_text.split() if len(word) >= MIN_TOKEN)
    return patterns + [pattern for marker, pattern in _list_shapes() if marker in words]


VAGUE_TOKENS = ("sk-", "eyj", "ia")
"""Those of TOKENS that program text and encoded pictures have by chance; what gitleaks has of them is narrower."""
WORD = re.compile(r"[A-Za-z0-9_+/=~.:%?&-]+")
"""What a token, or the address with one, is a part of."""
MIN_WORD = 16
HEADER = "-----BEGIN"
ENCODED = re.compile(r"[A-Za-z0-9+/=]{200,}")


def has_token(text: str) -> bool:
    """Return whether a text of any kind, such as a program, has a token of a known shape, which no example has."""
    if HEADER in text and compile_pattern(TOKENS[HEADER.lower()]).search(text):
        return True
    long_words = [word for word in WORD.findall(text) if len(word) >= MIN_WORD]
    words = [word for word in long_words if word.lower() != word or any(map(str.isdecimal, word))]
    text = ENCODED.sub(" ", "\n".join(words))  # names of a program are mostly small letters
    vague = {TOKENS[marker] for marker in VAGUE_TOKENS}
    patterns = [pattern for pattern in list_possible_shapes(text) if pattern not in vague]
    patterns.append(r"(?:account|sharedaccess)key=[\w+/]{40,}")
    tokens = (match[0] for pattern in patterns for match in compile_pattern(pattern).finditer(text))
    return any(len({*token}) >= MIN_CHARACTERS for token in tokens)


def file_holds_secret(text: str, suffix: str) -> bool:
    """Return whether the text of a file has a token, or a literal that is a secret.

    :param suffix: of its name, in lower case.
    """
    return has_token(text) or has_secret_literal(text, suffix)


def holds_secret(text: str) -> bool:
    """Return whether a text certainly contains a secret, so that it must not be stored."""
    patterns = list_possible_shapes(text)
    lowercase_text = text.lower()
    if (":/" in lowercase_text or ":\\" in lowercase_text) and any(character in lowercase_text for character in "@＠%"):
        patterns += [rf"{SCHEME}[^/\\?#\s]*:[^/\\?#\s]*{AT}", rf"(?<![a-z0-9+.-])https?:[/\\]+[^/\\?#\s@]+{AT}"]
    if any(name in lowercase_text for name in ("sig=", "signature=", "key=")):
        patterns += [r"[?&;]([\w-]*signature|sig)=", r"(?:account|sharedaccess)key="]
    if "bearer" in lowercase_text or "authorization" in lowercase_text:
        patterns.append(r"\bauthorization\b\W+(?:bearer|basic|token)\s+\S|\bbearer\s+(?=\S{0,80}\d)[\w~+/.-]{16,}")
    return any(compile_pattern(pattern).search(text) for pattern in patterns)


_PASSWORD = r"passw(?:or)?d|passphrase|pwd"
_NAME = (
    r"(?:(?:api|access|account|auth|client|database|db|encryption|license|master|private|secret|service|shared|signing"
    rf"|storage)[-_.]?key|{_PASSWORD}|secret|authorization|credentials?|token)"
)
"""The end of a name whose value is a secret. `key` alone is not enough."""
_ASSIGNMENT = rf"({_NAME})[\"']?(\s{{0,9}}[=:])(\s{{0,9}}[\"']?)([^\s\"',;&]*)"
_USER = (
    r"(?<![\w–—-])[–—-]{1,4}(?:u|(?:[\w-]{1,40}-)?user)(?:\s{1,9}|=)[\"']?(?!\d+:\d+(?!\S))"
    r"[^\s:\"'/$]{1,64}:(?![/$]|<\w+>(?!\S))([^\s\"']+)"
)
"""A user with a password, as curl has it, also if it is misspelt: `---u me:word`, `–u me:word`, `--proxy-user me:word`;
`-u 1000:1000` is a user with a group."""
_NO_SECRET = (
    r"(?:none|null|nil|true|false|auto|default|-?[\d.]{1,6}|\$\w+|(?:\$[{(]|`).*|\*+|x+|<[^>]*>|\{\w*\}|\.\.\.|…"
    r"|(?-i:NAME|FILE|VALUE|TOKEN|KEY|TEXT|PATH|URI|URL|FOLDER))[.)`]*"
)
MODEL_TOKENS = frozenset([
    "action", "bos", "cls", "end", "eos", "image", "language", "mask", "max", "num", "pad", "per", "prompt",
    "query", "sep", "special", "start", "state", "stop", "text", "unk", "use", "vision",
])  # fmt: skip
"""What stands before `_token` in options of a model: no account has such a token."""
SERVICES = frozenset([
    "access", "account", "api", "app", "auth", "aws", "azure", "bearer", "bot", "ci", "client", "databricks",
    "deploy", "docker", "face", "git", "github", "gitlab", "gh", "hf", "hub", "huggingface", "id", "jwt", "login",
    "mlflow", "ngc", "npm", "oauth", "openai", "personal", "private", "pypi", "refresh", "registry", "sas",
    "secret", "security", "service", "session", "slack", "tracking", "user", "vault", "wandb",
])  # fmt: skip
"""The beginnings of `…_token` names whose value is always a secret."""
NAME_MARKERS = ("key", "token", "secret", "pass", "pwd", "credential", "authorization")


def find_named_secret(text: str) -> int | None:
    """Return where the first secret begins whose name stands before it (`password=…`, `-u user:…`); None if none is."""
    lowercase_text = text.lower()
    starts = []
    if ("=" in text or ":" in text) and any(marker in lowercase_text for marker in NAME_MARKERS):
        assignments = (match for match in compile_pattern(_ASSIGNMENT).finditer(text) if _is_assigned_secret(match))
        starts += [match.start(4) for match in (next(assignments, None),) if match]
    if ":" in text and any(marker in lowercase_text for marker in ("-u", "–u", "—u")):
        starts += [match.start(1) for match in (compile_pattern(_USER).search(text),) if match]
    if "(" in text and any(marker in lowercase_text for marker in ("login", *NAME_MARKERS)):
        starts += [start for start in (find_secret_literal(text),) if start is not None]
    return min(starts, default=None)


def _is_assigned_secret(match: re.Match[str]) -> bool:
    name, sign, blanks, value = match.groups()
    if sign == ":" and not blanks and not compile_pattern(_PASSWORD).fullmatch(name):  # `kind:api-key:3`, an address
        return False
    prefix_match = re.search(r"[\w.-]*\Z", match.string[max(0, match.start() - 40) : match.start()])
    is_prose = sign == ":" and not set(blanks) & {*"'\""}
    return is_secret_value(f"{prefix_match[0] if prefix_match else ''}{name}", value, is_prose)


def is_secret_value(name: str, value: str, is_prose: bool = False) -> bool:
    """Return whether the value of a name or option is a secret.

    :param is_prose: it may be the rest of a sentence: `the token: see …`.
    """
    if not value or compile_pattern(_NO_SECRET).fullmatch(value):
        return False
    end = compile_pattern(rf"(.*?)({_NAME})").fullmatch(name)
    is_path = compile_pattern(r"[~.]{0,2}(?:/[\w.-]+)+").fullmatch(value) and not _looks_generated(value)
    if end is None or is_path:  # `--payload-file hf_token=/path/to/file` names the file of a secret
        return False
    prefix, kind = end.groups()
    word = re.split(r"[._-]", prefix.lower().rstrip("_-"))[-1]
    if kind.lower() == "token":
        if word in MODEL_TOKENS:
            return False
        is_certain = word in SERVICES or name.isupper() or not (word or is_prose)
    elif kind.lower() == "secret":
        is_certain = bool(word) or not is_prose
    else:
        is_certain = not kind.lower().startswith(("credential", "authorization"))
    return is_certain or _looks_generated(value)


def _looks_generated(word: str) -> bool:
    """Return whether a word looks generated: it is long, with digits among letters."""
    runs = re.findall(r"[A-Za-z0-9]{8,}", word)
    return any(len(run) >= 24 or (re.search(r"\d", run) and re.search(r"[A-Za-z]", run)) for run in runs)


@functools.lru_cache(4096)
def value_holds_secret(text: str) -> bool:
    """Return whether a text contains a secret, by its shape or by a name before it (`password=…`)."""
    return find_named_secret(text) is not None or holds_secret(text)


_KEY = (
    r"(?<![a-z0-9])(?:[a-f0-9]{32,}|(?=[a-z]{0,80}\d)(?=\d{0,80}[a-z])[a-z0-9]{32,}|[a-z0-9+/]{80,}={0,2})(?![a-z0-9])"
)
"""A key without a shape of its own, such as an old one of Weights & Biases: no person chose such a name."""


def looks_like_secret(secret_name: str) -> bool:
    """Return whether what should be the name of a secret is a secret itself: also a key without a shape of its own."""
    return value_holds_secret(secret_name) or bool(compile_pattern(_KEY).search(secret_name))


def find_secret_arguments(arguments: Sequence[str]) -> list[int]:
    """Return the indices of command-line arguments with a secret, also one behind its option: `--api-key`, `KEY`."""
    positions = {index for index, argument in enumerate(arguments) if value_holds_secret(argument)}
    for index, (option, next_argument) in enumerate(pairwise(arguments), 1):
        is_option = option.startswith(("-", "–", "—")) and "=" not in option  # else it has its value already
        is_named = is_option and not next_argument.startswith("-") and is_secret_value(option, next_argument)
        if is_named or (
            is_option and ":" in next_argument and find_named_secret(f"{option} {next_argument}") is not None
        ):
            positions.add(index)
    return sorted(positions)
