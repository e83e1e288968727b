"""What a text of a LeRobot option means: this module and LeRobot's parser, draccus, read one table alike."""

import importlib.metadata
import json
import math
from typing import Any

import pytest
from draccus.cfgparsing import parse_string
from draccus.options import config_type
from draccus.parsers.decoding import get_decoding_fn
from hypothesis import assume, given, settings, strategies
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, read_value

TYPES: dict[str, tuple[Any, Any]] = {
    "bool": ("bool", bool),
    "int": ("int", int),
    "float": ("number", float),
    "str": ("text", str),
    "bool-or-null": ({"any of": ["bool", "null"]}, bool | None),
    "int-or-null": ({"any of": ["int", "null"]}, int | None),
    "float-or-null": ({"any of": ["number", "null"]}, float | None),
    "str-or-null": ({"any of": ["text", "null"]}, str | None),
    "int-or-bool": ({"any of": ["int", "bool"]}, int | bool),
    "list": ({"each": "int"}, list[int]),
    "texts-or-null": ({"any of": [{"each": "text"}, "text", "null"]}, list[str] | str | None),
    "pair": ({"items": ["int", "int"]}, tuple[int, int]),
}
TEXTS = (
    """
yes|on|No|TRUE|1|none|NONE|~|null|1_000|1e3|0x10|1e-4|.5|5.|(84,84)|[84, 84,]|'abc'|true|oN|y|off|0|-0|007|08|0o7|0b11
+5|-5|1.0|1.5e3|1.5e+3|-.5|.inf|inf|nan|.nan|abc|a b|a:b|http://x/y|abc #c|#abc|abc#c|[1,2]|[1, 2|[a,b]|['a', "b"]
[yes,no]|[]|[[1],[2]]|[1.5,2]|'true'|"false"|'12'|Null|nUll|None|1__0|0x|[~]|[,]|owner/name|./x|a?|a'b|'a''b'|x,y| 5 
'abc' #c|]|-|=|{a: 1}
""".strip("\n")
    .replace("\n", "|")
    .split("|")
)
SHORT_TEXTS = strategies.text(alphabet="10ae-+._ ,[]{}:'\"#~x", max_size=8)


def read_with_draccus(text: str, kind: Any, *, as_json: bool = False) -> Any:
    try:
        with config_type("json" if as_json else "yaml"):
            raw = parse_string(text)
        value = get_decoding_fn(kind)(raw, ())
    except Exception:  # of its parser or of its decoder
        return "refused"
    return list(value) if isinstance(value, tuple) else value


def read_with_robotrain(text: str, kind: Any, *, as_json: bool = False) -> Any:
    try:
        return read_value(text, kind, as_json=as_json)
    except RefusedValue:
        return "refused"


def is_same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


def test_the_parser_is_the_one_that_lerobot_locks() -> None:
    lock = versions.get_version().get_lock("train").read_text()
    assert f"\ndraccus=={importlib.metadata.version('draccus')} " in lock


@pytest.mark.parametrize("name", TYPES)
def test_a_text_means_what_it_means_to_lerobot(name: str) -> None:
    kind, annotation = TYPES[name]
    read, differences = 0, []
    for text in TEXTS:
        for as_json in (False, True):
            try:
                value = read_with_robotrain(text, kind, as_json=as_json)
            except UnreadValue:
                continue
            read += 1
            expected = read_with_draccus(text, annotation, as_json=as_json)
            if not is_same(value, expected):
                differences.append((text, as_json, value, expected))
    assert differences == []
    assert read >= 1.7 * len(TEXTS), "few texts are left to LeRobot"


@settings(max_examples=300, deadline=None)
@given(SHORT_TEXTS, strategies.sampled_from(sorted(TYPES)))
def test_any_text_is_read_alike_or_left_to_lerobot(text: str, name: str) -> None:
    assume(text.strip() != "---")  # where a document of YAML begins: nobody types it as a value
    kind, annotation = TYPES[name]
    try:
        value = read_with_robotrain(text, kind)
    except UnreadValue:
        return
    assert is_same(value, read_with_draccus(text, annotation))


def test_a_truth_value_of_yaml_plans_what_true_plans(robotrain: Any) -> None:
    def list_sources(text: str) -> list[str]:
        line = ("--policy-type", "smolvla", "--dataset-repo-id", "me/cups", "--", f"--policy.load_vlm_weights={text}")
        answer = robotrain("render", "--json", "--platform", "local", "lerobot-train", *line)
        assert "random weights" not in answer.stderr
        return [source["uri"] for source in json.loads(answer.json["files"]["job.json"]["text"])["sources"]]

    assert list_sources("yes") == list_sources("true")
    assert len(list_sources("yes")) == 2, "the repository of the weights is one"


def test_beside_a_configuration_options_are_json(robotrain: Any, policy: Any) -> None:
    start = ("--dataset-repo-id", "me/cups", "--policy-path", str(policy(type="act")), "--policy-type", "act")

    def render(option: str) -> Any:
        return robotrain("render", "--json", "--platform", "local", "lerobot-train", *start, "--", option)

    assert render("--policy.use_vae=false").exit_code == 0
    refused = render("--policy.use_vae=no")
    assert refused.exit_code == 2
    assert refused.json["problems"][0]["instead"][0]["text"].endswith("--policy.use_vae=false")
