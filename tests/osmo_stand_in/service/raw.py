"""The text of a workflow before it is rendered: its sections are found by pattern, not by YAML."""

import re
from typing import Any

from osmo_stand_in import refusal
from osmo_stand_in.config import Version

SECTION = re.compile(r"^([a-zA-Z][a-zA-Z0-9_-]*):(.*?)(?=^[a-zA-Z][a-zA-Z0-9_-]*:|\Z)", re.DOTALL | re.MULTILINE)
SECTIONS = ("workflow", "default-values", "version")
MARKERS = ("{%", "{{", "{#", "default-values")
MARKERS_BEFORE_6_4 = ("{%%", "{{", "{#", "default-values")


def templated(text: str, client: Version) -> bool:
    """Whether the command takes a text for a template. Before 6.4 it did not see a lone `{%`."""
    return any(marker in text for marker in (MARKERS if client >= (6, 4, 0) else MARKERS_BEFORE_6_4))


def sections(text: str, service: Version) -> tuple[str, Any]:
    """The workflow section, as text, and its default values. Raises Refusal."""
    found: dict[str, str] = {}
    strict = service >= (6, 2, 0)
    for match in SECTION.finditer(text):
        key = match[1]
        if strict and key not in SECTIONS:
            raise refusal.user(f'Unknown top-level key "{key}" found in the workflow spec.')
        if key in found:
            told = f'Duplicate top-level key "{key}" found' if strict else "Multiple workflows sections found"
            raise refusal.user(f"{told} in the workflow spec.")
        found[key] = match[0]
    if "workflow" not in found:
        raise refusal.user("Workflow spec not found.")
    if "default-values" not in found:
        return found["workflow"], None
    import yaml

    return found["workflow"], yaml.safe_load(found["default-values"])["default-values"]
