"""Redaction of what a command prints and stores: what hides secrets, and what may be suggested beside a hidden one."""

import re
from collections.abc import Iterable, Mapping, Sequence

from robotrain_runtime.contract.redaction import HIDDEN as HIDDEN
from robotrain_runtime.contract.redaction import MAX_LENGTH, MAX_REMEMBERED, hide_secrets, truncate
from robotrain_runtime.contract.redaction import MAX_SENTENCE as MAX_SENTENCE
from robotrain_runtime.contract.redaction import escape_controls as escape_controls
from robotrain_runtime.contract.secret_rules import find_named_secret, find_secret_arguments
from robotrain_runtime.contract.secret_rules import holds_secret as holds_secret
from robotrain_runtime.contract.secret_rules import value_holds_secret as value_holds_secret

MIN_WORD = 4
"""Length of a word from which on a suggestion that repeats it is dropped."""
MIN_RUN = 8
"""Letters and digits in a row of something hidden from which on a suggestion that has them is dropped."""


def redact(text: str, schemes: tuple[str, ...] = (), max_length: int = MAX_LENGTH) -> str:
    """Return `text` without queries, fragments, passwords and tokens, control characters escaped, truncated.

    :param schemes: words that are not a user before a colon: `scheme:name@label` does not change.
    """
    original = text = _hide_typed_secrets(text[: max(MAX_REMEMBERED, 4 * max_length)])  # the rest is never shown
    redacted = hide_secrets(text, schemes, max_length)
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
    return truncate(text, MAX_SENTENCE)
