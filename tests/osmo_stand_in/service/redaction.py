"""OSMO's redaction of stored workflows: everything that looks like a secret, base64 included."""

import base64
import re
from collections.abc import Collection

MASKED = "[MASKED]"
NAMED = r"(?:access|auth|(?-i:[Aa]pi|API)|credential|creds|key|passw(?:or)?d|secret|token)"
BETWEEN = r"""[ \t\w.-]{0,20}[\s'"]{0,3}(?:=>|\?=|:{1,3}=|\|\||[=>:,])[`'"\s=]{0,5}"""
SECRET = re.compile(
    rf"""(?i){NAMED}{BETWEEN}([\w.=-]{{10,150}}|[a-z0-9][a-z0-9+/]{{11,}}={{0,3}})(?:[`'"\s;]|\\[nr]|$)"""
)
FRAGMENT = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])")


def redacted(text: str, allowed: Collection[str] = ()) -> str:
    """The text without its secrets. allowed: values that are none, such as names of credentials."""

    def fragment(match: re.Match[str]) -> str:
        try:
            padded = match[0] + "=" * (-len(match[0]) % 4)
            hidden = base64.b64decode(padded, validate=True).decode()
        except ValueError:
            return match[0]
        return match[0] if _masked(hidden, allowed) == hidden else MASKED

    return _masked(FRAGMENT.sub(fragment, text), allowed)


def _masked(text: str, allowed: Collection[str]) -> str:
    return SECRET.sub(lambda match: match[0] if match[1] in allowed else match[0].replace(match[1], MASKED), text)
