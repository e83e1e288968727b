"""The model card: README.md of a repository, with the metadata that the Hub reads. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

METADATA_ORDER = ("license", "library_name", "pipeline_tag", "base_model", "base_model_relation", "datasets", "tags")
"""The names that a card has first."""


def format_card(description: Mapping[str, Any], replaced: Mapping[str, str]) -> bytes:
    """Return the card.

    :param description: the fields of a `ModelDescription`.
    :param replaced: values of the placeholders in its texts, such as `{repository}`.
    """
    metadata = {name: value for name, value in description.get("metadata", {}).items() if value not in (None, "", [])}
    names = [*(name for name in METADATA_ORDER if name in metadata), *sorted(metadata.keys() - {*METADATA_ORDER})]
    lines = ["---", *(f"{name}: {_format_value(metadata[name])}" for name in names), "---", ""]
    lines += [f"# {_keep_line(str(description.get('title') or 'Policy'))}", ""]
    for heading, text in description.get("sections", ()):
        lines += [f"## {_keep_line(heading)}", "", text.strip("\n"), ""]
    card = "\n".join(lines).rstrip("\n") + "\n"
    for name, value in replaced.items():
        card = card.replace(f"{{{name}}}", value)
    return card.encode("utf-8", "replace")


def _format_value(value: Any) -> str:
    """Return a value as YAML: JSON is a part of it."""
    return json.dumps(value, ensure_ascii=False, default=list)


def _keep_line(text: str) -> str:
    return " ".join(text.split())


def list_rows(card: bytes) -> set[str]:
    """Return the rows of the tables of a card: its metrics and scores."""
    return {line for line in card.decode("utf-8", "replace").splitlines() if line.startswith("| ")}


def list_card_problems(message: str) -> Iterator[str]:
    """Yield what a Hub finds wrong with a card, from its answer, each as a short text."""
    for line in message.splitlines()[1:]:
        if text := line.strip().removeprefix("- "):
            yield text[:200]
