"""Redaction of what a command prints and stores."""

from collections.abc import Sequence

from robotrain_runtime.contract.redaction import HIDDEN as HIDDEN
from robotrain_runtime.contract.redaction import MAX_SENTENCE as MAX_SENTENCE
from robotrain_runtime.contract.redaction import escape_controls as escape_controls
from robotrain_runtime.contract.redaction import redact as redact
from robotrain_runtime.contract.redaction import redact_if_secret as redact_if_secret
from robotrain_runtime.contract.redaction import redact_sentence as redact_sentence
from robotrain_runtime.contract.redaction import typed_secrets
from robotrain_runtime.contract.secret_rules import find_named_secret, find_secret_arguments
from robotrain_runtime.contract.secret_rules import holds_secret as holds_secret
from robotrain_runtime.contract.secret_rules import value_holds_secret as value_holds_secret

MIN_WORD = 4
"""Length from which on the value of an unknown option that is named like a secret is hidden everywhere."""


def hide_secret_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command-line arguments with each secret among them hidden, also one behind its option."""
    secret_positions = {*find_secret_arguments(arguments)}
    redacted_arguments = [
        redact(argument) if index in secret_positions else argument for index, argument in enumerate(arguments)
    ]
    return [
        HIDDEN if index in secret_positions and HIDDEN not in argument else argument
        for index, argument in enumerate(redacted_arguments)
    ]


def remember_secrets(arguments: Sequence[str]) -> None:
    """Hide from now on the values of unknown options that are named like secrets, wherever they stand.

    What suggests another option with the value, for example, does not know that it is a secret.
    """
    typed_secrets.clear()
    for index in find_secret_arguments(arguments):
        argument = arguments[index]
        start = find_named_secret(argument)
        secret_value = argument[start:] if start is not None else "" if holds_secret(argument) else argument
        if len(secret_value) >= MIN_WORD and not arguments[index - 1].endswith(("-credential", "-credentials")):
            typed_secrets.add(secret_value)


def can_repeat(value: str) -> bool:
    """Return whether a suggestion may repeat a value: nothing in it would be hidden."""
    return HIDDEN not in redact(value)


def redact_argument(arguments: Sequence[str], index: int) -> str:
    """Return a command-line argument with a secret for a message, after its option if that names the secret."""
    shown_text = redact(arguments[index])
    is_shown = HIDDEN in shown_text and (shown_text != HIDDEN or not arguments[index - 1].startswith("-"))
    return shown_text if is_shown else f"{redact(arguments[index - 1])} {HIDDEN}"
