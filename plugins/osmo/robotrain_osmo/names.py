"""What OSMO takes as a name, and what it, or Kubernetes after it, would read in a text as more than text."""

import re

NAME = r"[a-zA-Z](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?"
LONGEST_TASK = 58
"""OSMO puts a task into a group of its own, `<task>-group`, and takes 64 characters."""
LONGEST_RUN = 64
WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
"""Names of pools and of their platforms."""
DATASET = r"[A-Za-z0-9_-]+"
CONTAINER = r"(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*"

_READ = r"\{\{|\{%|\{#|\$\(|\$\$"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_KEY = rf"(?:(?=[^/]{{1,253}}/){_DNS}(?:\.{_DNS})*/)?{_LABEL}"


def read_in(text: str) -> str:
    """The first characters of `text` that a template of OSMO or a variable of Kubernetes begins with; "" for none."""
    found = re.search(_READ, text)
    return found[0] if found else ""


def is_label_key(text: str) -> bool:
    """Whether Kubernetes takes it as a label's name, with or without a prefix."""
    return bool(re.fullmatch(_LABEL_KEY, text))


def is_label_value(text: str) -> bool:
    """Whether OSMO takes it as a label's value: as Kubernetes does, but never empty."""
    return bool(re.fullmatch(_LABEL, text))
