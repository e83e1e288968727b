"""Redaction of what a command prints and stores."""

import re
from collections.abc import Sequence

from robotrain_runtime.contract.redaction import HIDDEN as HIDDEN
from robotrain_runtime.contract.redaction import MAX_LENGTH, MAX_REMEMBERED, hide_secrets, truncate
from robotrain_runtime.contract.redaction import MAX_SENTENCE as MAX_SENTENCE
from robotrain_runtime.contract.redaction import escape_controls as escape_controls
from robotrain_runtime.contract.secret_rules import find_named_secret, find_secret_arguments
from robotrain_runtime.contract.secret_rules import holds_secret as holds_secret
from robotrain_runtime.contract.secret_rules import value_holds_secret as value_holds_secret

MIN_WORD = 4
"""Length from which on the value of an unknown option that is named like a secret is hidden everywhere."""


def redact(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    text = text[: max(MAX_REMEMBERED, 4 * max_length)]  # the rest is never shown
    return hide_secrets(_hide_typed_secrets(text), schemes, max_length)


def hide_secret_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command-line arguments with each secret among them hidden, also one behind its option."""
    secret_positions = {*find_secret_arguments(arguments)}
    redacted = [redact(text) if index in secret_positions else text for index, text in enumerate(arguments)]
    return [HIDDEN if index in secret_positions and HIDDEN not in text else text for index, text in enumerate(redacted)]


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


def redact_sentence(text: str) -> str:
    """Return a sentence that others wrote as it is shown: redacted only if it certainly contains a secret."""
    text = "\n".join(escape_controls(line) for line in redact_if_secret(text).split("\n"))
    return truncate(text, MAX_SENTENCE)
