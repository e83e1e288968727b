"""The model card: README.md of a repository, with the metadata that the Hub reads. Standard library only."""

import json
from collections.abc import Mapping
from typing import Any

METADATA_ORDER = ("license", "library_name", "pipeline_tag", "base_model", "base_model_relation", "datasets", "tags")
"""The names that a card has first."""


def format_card(description: Mapping[str, Any], replaced: Mapping[str, str]) -> bytes:
    """Return the card.

    :param description: the fields of a `ModelDescription`.
    :param replaced: values of the placeholders in its texts, such as `{repository}`.
    """
    metadata = {
        name: metadata_value
        for name, metadata_value in description.get("metadata", {}).items()
        if metadata_value not in (None, "", [])
    }
    metadata_names = [
        *(name for name in METADATA_ORDER if name in metadata),
        *sorted(metadata.keys() - {*METADATA_ORDER}),
    ]
    card_lines = ["---", *(f"{name}: {_format_value(metadata[name])}" for name in metadata_names), "---", ""]
    card_lines += [f"# {_keep_line(str(description.get('title') or 'Policy'))}", ""]
    for heading, section_text in description.get("sections", ()):
        card_lines += [f"## {_keep_line(heading)}", "", section_text.strip("\n"), ""]
    card = "\n".join(card_lines).rstrip("\n") + "\n"
    for name, metadata_value in replaced.items():
        card = card.replace(f"{{{name}}}", metadata_value)
    return card.encode("utf-8", "replace")


def _format_value(value: Any) -> str:
    """Return a value as YAML: JSON is a part of it."""
    return json.dumps(value, ensure_ascii=False, default=list)


def _keep_line(text: str) -> str:
    return " ".join(text.split())
