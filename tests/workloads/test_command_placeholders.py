"""Placeholders of a command: `{name}` alone is one, and no value is read as anything but text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_workloads.command import placeholders

VALUES: dict[str, placeholders.Value] = {"dataset": "/data/a b", "datasets": ("/a", "/b"), "lr": "{outputs} $X `y`"}

FILLED = [
    # an argument, and the arguments that it becomes
    ("{dataset}", ["/data/a b"]),
    ("--data={dataset}/meta", ["--data=/data/a b/meta"]),
    ("{lr}{lr}", ["{outputs} $X `y`{outputs} $X `y`"]),
    ("{datasets}", ["/a", "/b"]),
    ("{{dataset}}", ["{dataset}"]),
    ("{{{dataset}}}", ["{{dataset}}"]),
    ('{"lr": 1}', ['{"lr": 1}']),
    ('{"a": {"b": {}}}', ['{"a": {"b": {}}}']),
    ("${dataset}", ["${dataset}"]),
    ("[0-9]{2,3}", ["[0-9]{2,3}"]),
    ("{0}", ["{0}"]),
    ("{ dataset }", ["{ dataset }"]),
    ("{data-set}", ["{data-set}"]),
    ("{{", ["{{"]),
    ("", [""]),
]


@pytest.mark.parametrize(("argument", "filled"), FILLED)
def test_only_an_identifier_in_braces_is_a_placeholder(argument, filled):
    assert list(placeholders.fill_arguments([argument], VALUES)) == filled


def test_several_values_are_arguments_of_their_own():
    with pytest.raises(ValueError, match="must be an argument of its own"):
        list(placeholders.fill_arguments(["--data={datasets}"], VALUES))


@given(st.text(), st.text(alphabet='{}$"a', max_size=9))
def test_a_value_is_never_read_again(value, around):
    filled = list(placeholders.fill_arguments(["x{lr}y"], {"lr": value, "a": around}))
    assert filled == [f"x{value}y"]


@given(st.text().filter(lambda text: not placeholders.list_names([text]) and "{{" not in text))
def test_text_without_placeholders_stays(text):
    assert list(placeholders.fill_arguments([text], {})) == [text]


def test_values_are_variables_too():
    assert placeholders.make_variables(VALUES, ["lr"]) == {
        "ROBOTRAIN_DATASET": "/data/a b",
        "ROBOTRAIN_DATASETS": "/a\n/b",
        "ROBOTRAIN_PARAM_lr": "{outputs} $X `y`",
    }
