"""Secrets without a token's shape: literals whose name, or whose place, says what they are.

Only a literal counts, never what a program computes: `token = args.hf_token` and `password: str` are none.
"""

import re

PROGRAM_SUFFIXES = frozenset([".ipynb", ".json", ".jsonl", ".launch", ".ps1", ".py", ".tf", ".toml", ".xml"])
"""Of files in which only quoted text is a literal."""
MARKERS = ("pass", "pwd", "key", "token", "secret", "://", "login")
"""Each pattern needs one of them; most lines have none."""
_PASSWORD = r"passw(?:or)?d|passphrase|pwd"
_KEY = (
    r"(?:api|access|account|auth|client|encryption|license|master|private|secret|service|shared|signing|storage)[-_.]?key"
    r"|secret|(?:access|api|app|auth|bearer|bot|client|deploy|git(?:hub|lab)?|gh|hf|hub|huggingface|mlflow|ngc|npm|pypi"
    r"|refresh|registry|sas|service|session|slack|user|wandb)[-_.]?token|(?<![a-z0-9_-])token"
)
_NAME = rf"(?P<name>{_PASSWORD}|{_KEY})"
_SIGN = (
    r"(?:[\"']?\]?\s{0,9}(?::\s{0,9}[a-z][\w.\[\]| ]{0,40})?=(?!=)"  # NAME = "…", x["NAME"] = "…", NAME: str = "…"
    r"|[\"']\s{0,9}:"  # "NAME": "…"
    r"|[\"'][^\"'\n]{0,40}\b(?:default|value)\s?=)[ \t]{0,9}"  # <env name="NAME" value="…"/>, ("--NAME", default="…")
)
_QUOTED = r"[rb]{0,2}(?P<quote>[\"'])(?P<literal>[^\s\"'\\]+)(?P=quote)"
_PLAIN = r"(?P<quote>[\"']?)(?P<literal>[^\s\"'`$(){}\[\]<>,;&|\\]+)(?P=quote)(?=\s|[;&|)]|\Z)"
QUOTED = (
    rf"{_NAME}{_SIGN}{_QUOTED}",
    rf"\w\(\s{{0,9}}[\"'][\w.-]{{0,40}}{_NAME}[\"'],[ \t]{{0,9}}{_QUOTED}",  # os.environ.setdefault("NAME", "…")
    rf"\blogin\((?P<name>[^()\"'\n]{{0,40}}){_QUOTED}",  # wandb.login(key="…")
    r"\b[a-z][a-z0-9+.-]{1,20}(?P<name>://)(?P<user>[^\s/:@\"'<>{}$]{1,80}):(?!(?P=user)@)"
    r"(?P<literal>[^\s/:@\"'<>{}$()]+)@(?=[\w\[])",
)
"""In any text, in lower case."""
PLAIN = (
    rf"{_NAME}[\"']?(?:[ \t]?=[ \t]?|[ \t]{{0,9}}:[ \t]{{1,9}}|[ \t]{{1,9}}(?=\S{{0,80}}\d)){_PLAIN}",
    rf"\b(?P<name>wandb)[ \t]+login[ \t](?:[^\n]*[ \t])?{_PLAIN}",
)
"""As YAML, INI and shell have them: `NAME: …`, `NAME=…`, `--NAME …`."""
_PLACEHOLDER = (
    r"(?<![a-z0-9])(?:a|an|any|bar|env|fake|file|foo|hash|here|id|insert|key|me|mock|my|name|new|none|null|path|prefix"
    r"|put|pw|pwd|some|test|the|todo|user|uri|url|value|your)\d{0,4}(?![a-z0-9])"
    r"|abc123|abcdef|changeme|change_me|dummy|empty|example|hidden|masked|pass(?:w|phrase)|placeholder|redacted|replace"
    r"|sample|secret|token|xxx|\*\*\*|\.\.\.|123456|0000|[{}<>\0]"
)
"""What a literal has that stands for another one."""
MIN_CHARACTERS = 8
"""Different characters of a token: an example such as `hf_xxxxxxxx` has fewer."""
MIN_PASSWORD = 6
MIN_BARE_TOKEN = 20
"""Letters of what is called `token` alone, as words of a language model are, too."""


def find_secret_literal(text: str, *, has_plain: bool = False) -> int | None:
    """Return where the first literal begins that is a secret; None if none is.

    :param has_plain: whether literals stand without quotes, as in YAML.
    """
    text = re.sub(r"[^\x00-\x7f]", "\0", text)  # a letter in lower case has the same place then
    lowercase_text = text.lower()
    for pattern in (*QUOTED, *PLAIN) if has_plain else QUOTED:
        for match in re.finditer(pattern, lowercase_text):
            if _is_secret(match["name"], text[slice(*match.span("literal"))]):
                return match.start("literal")
    return None


def has_secret_literal(text: str, suffix: str) -> bool:
    """Return whether a file has a literal that is a secret. `suffix`: of its name, in lower case."""
    has_plain = suffix not in PROGRAM_SUFFIXES and not re.match(r"#!.*(?:python|node|perl|ruby)", text)
    if suffix == ".ipynb":
        text = text.replace('\\"', '"')
    lines = zip(text.splitlines(), text.lower().splitlines(), strict=False)
    marked_lines = [line for line, lowercase_line in lines if any(marker in lowercase_line for marker in MARKERS)]
    return find_secret_literal("\n".join(marked_lines), has_plain=has_plain) is not None


def _is_secret(name: str, literal: str) -> bool:
    """Return whether a literal is a password that is no word, or what nobody would choose as a name."""
    if re.search(_PLACEHOLDER, literal.lower()):
        return False
    if name == "://":  # in an address
        return len(literal) >= MIN_PASSWORD
    if re.fullmatch(_PASSWORD, name):
        is_word = re.fullmatch(r"[A-Za-z_]+|[\d.]{1,6}|[~.]{0,2}(?:/[\w.-]+)+", literal)
        return len(literal) >= MIN_PASSWORD and not is_word
    if name == "token" and len(literal) < MIN_BARE_TOKEN:
        return False
    is_generated = re.search(r"(?=[A-Za-z]{0,40}\d)(?=\d{0,40}[A-Za-z])[A-Za-z0-9]{8,}", literal)
    is_long = re.fullmatch(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w+/=-]{30,}", literal)
    return bool(is_generated or is_long) and len({*literal}) >= MIN_CHARACTERS
