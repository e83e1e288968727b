"""The address of a place on the Hub: what is one, and the nearest that is."""

import json

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract.failure import SourceError
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface.reference import parse_branch, parse_repository
from robotrain_sources.huggingface_publish import branch, target

PLACES = {
    "hf://me/act": ("hf://me/act", "step-000200", "hf://me/act@step-000200"),
    "hf://me/act@main": ("hf://me/act", "step-000200", "hf://me/act@step-000200"),
    "hf://me/act@try_2.1": ("hf://me/act@try_2.1", "try_2.1-step-000200", "hf://me/act@try_2.1-step-000200"),
}


@pytest.mark.parametrize(("text", "expected"), PLACES.items())
def test_a_place_is_a_repository_and_a_branch(text, expected):
    place = parse_branch(text)
    assert (str(place), place.get_tag("000200"), place.locate("000200")) == expected
    assert parse_branch(str(place)) == place
    assert place.parse_tag(place.get_tag("000200")) == "000200"
    assert place.parse_tag("v1.0") == place.parse_tag("step-last") == ""
    address = target.normalize(text)
    assert target.get_name(address, target.locate(address, "000200")) == "000200"
    assert target.get_name(address, "hf://me/other@step-000200") == ""
    assert str(parse_repository(target.locate(address, "000200"))) == expected[2].removeprefix("hf://")


@pytest.mark.parametrize(
    "text",
    [
        *("hf:/me/act", "hf:me/act", "HF://me/act", "hf://me/act/", " hf://me/act", "hf://me/act/tree/try", "hf://act"),
        *("https://huggingface.co/me/act", "hf://me/my act", "hf://me/act.git", "hf://me/a--b", "hf://datasets/me/act"),
        *("hf://me/act@", "hf://me/act@a/b", f"hf://me/act@{'0' * 40}", "hf://me/act@step-000200", "hf://"),
        "hf://me/act@hf_abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_a_wrong_address_is_refused_without_its_secret(text):
    with pytest.raises(SourceError) as refused:
        parse_branch(text)
    check_refusals(refused.value, "source-error")
    assert "hf_abc" not in f"{refused.value.why} {refused.value.suggestion}"
    assert target.normalize(text) == ""


def test_absolute_paths_are_replaced_and_nothing_else():
    content = b'{"root": "/data/x", "list": ["/a", "b/c", 1], "url": "https://h/x", "deep": {"dir": "file:///y"}}'
    expected = {"root": None, "list": [None, "b/c", 1], "url": "https://h/x", "deep": {"dir": None}}
    assert json.loads(layout.replace_machine_paths(content, None)) == expected
    for unchanged in (b'{"a": "b"}', b"no JSON /data", b"\xff\x00"):
        assert layout.replace_machine_paths(unchanged, None) == unchanged


def test_a_card_without_facts_is_a_title():
    assert branch.format_card({}, {}).decode() == "---\n---\n\n# Policy\n"


@pytest.mark.parametrize("text", ["hf://me", "hf://me/", "hf:/me", "hf://me@try", "hf://--"])
def test_an_owner_alone_lacks_the_name_of_a_repository(text):
    with pytest.raises(SourceError) as refused:
        parse_repository(text)
    check_refusals(refused.value, "source-error")
