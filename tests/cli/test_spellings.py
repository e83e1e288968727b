"""Spellings of LeRobot and of the reference scripts, typed at robotrain: each leads to the right option (issue K.3)."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

TABLE: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("spellings.yaml").read_text())
TYPED = [(words, typed) for words, group in TABLE.items() for typed in group]


@pytest.mark.parametrize(("words", "typed"), TYPED)
def test_a_spelling_leads_to_the_right_option(robotrain: Any, words: str, typed: str) -> None:
    option = TABLE[words][typed]
    answer = robotrain("explain", "--json", *shlex.split(words), *shlex.split(typed))
    problems = answer.json.get("problems", ())
    suggested = [
        text
        for problem in problems
        for text in (problem["title"], problem["why"], *(way["text"] for way in problem["instead"]))
    ]
    if not any(option in text for text in suggested):
        assert explain(robotrain, words, typed) == explain(robotrain, words, option), suggested


def explain(robotrain: Any, *words: str) -> dict[str, Any]:
    """What a command line gives."""
    answer = robotrain("explain", "--json", *shlex.split(" ".join(words)))
    assert "values" in answer.json, answer.stderr
    return {value["name"]: value["value"] for value in answer.json["values"]}
