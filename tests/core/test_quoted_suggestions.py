"""Suggestions with a value that was typed: it is one word of a shell's line, and never what was typed."""

import shlex
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from robotrain.config.sources import parse_source
from robotrain.config.validate import validate_values
from robotrain.config.values import Origin, SourceText, Value
from robotrain.errors import Problem
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.parameter import get_parameters

FIRST, SECOND = "zq", "yx"
BREAK = f"{FIRST} {SECOND}"
TEXTS = (
    f"https://robots.blob.core.windows.net/box/{BREAK}",
    f"https://example.org/{BREAK}.pt",
    f"azureml:{BREAK}:1",
    f"/data/{BREAK}",
    f"./{BREAK}'s",
    f"owner/{BREAK}",
    f"models:/{BREAK}/1",
    f"runs:/{BREAK}/policy",
    f"hf://owner/{BREAK}",
    f"git+https://example.org/{BREAK}",
    f"s3://box/{BREAK};ls",
    f"{BREAK}=$(id)",
    BREAK,
)
VALUES = ("", "0", "1e9", BREAK, f"{BREAK}=1", "gpu:4", "7d")


def find_broken(problems: Iterable[Problem], typed: list[str]) -> list[str]:
    """Return the suggestions that a shell would take apart, or that repeat what was typed."""
    broken = []
    for problem in problems:
        for way in problem.suggestions:
            words = shlex.split(way.text) if SECOND in way.text or FIRST in way.text else way.text.split()
            is_split = any(SECOND in word and FIRST not in word for word in words)
            is_same = words == typed
            broken += [f"{problem.message}: {way.text}"] if is_split or is_same else []
    return broken


def test_a_refused_source_is_quoted_and_not_repeated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds, broken, refused = get_plugins().source_kinds(), [], 0
    sharing = defaultdict(list)
    for kind in kinds.values():
        for role, rule in kind.roles.items():
            sharing[role, rule.flag].append(kind.name)
    for (role, flag), names in sharing.items():
        for text in TEXTS:
            source = parse_source(SourceText(role, tuple(names), text, Origin("flag", flag), tmp_path), kinds)
            if isinstance(source, Problem):
                refused += 1
                broken += find_broken([source], [flag, text])
    assert refused > 200
    assert broken == []


def list_declarations() -> list[type]:
    plugins = get_plugins()
    workloads = (plugins.workload(name).parameters for name in plugins.list_names("workload"))
    return [*workloads, *(platform.settings for platform in plugins.platforms().values())]


@pytest.mark.parametrize("declared", list_declarations(), ids=lambda declared: declared.__name__)
def test_a_refused_value_is_quoted_and_not_repeated(declared):
    broken = []
    for parameter in get_parameters(declared):
        for text in VALUES:
            value = Value(text, Origin("flag", parameter.flag), base=Path("/"))
            _, problems, _ = validate_values(declared, {parameter.name: value})
            broken += find_broken(problems, [parameter.flag, text])
    assert broken == []
