"""Pinning of a plugin's source kind that goes wrong: told by name, and nothing is sent that a run would refuse."""

import pytest
from broken_plugins import indented, kind, plain_platform

PET = """

class Pet(str):
    kind = "pet"

from robotrain.model.source import Pinning

def now(source, role):
NOW
PINNING = Pinning(resolve=now, explain_lost_pin=lambda source, role, pin: "")
"""


@pytest.fixture
def pinned(install):
    """Install `plain`, and the source kind `pet` whose pin is what this body says."""

    def pinned(body: str) -> None:
        pet = kind("lambda text, base: Pet(text)").replace("recognizes=", "pinning=PINNING, recognizes=")
        pet += PET.replace("NOW", indented(body, 4))
        sees = plain_platform().replace('KINDS = ("huggingface",', 'KINDS = ("pet", "huggingface",')
        install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=pet)
        install("acme-plain", {"platform.plain": "acme_plain"}, acme_plain=sees)

    return pinned


SUBMIT = ("submit", "--platform", "plain", "--pet", "rex")
BUGS = [
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("raise GeneratorExit('team')", "GeneratorExit: team"),
]


@pytest.mark.parametrize(("body", "said"), BUGS)
def test_a_pin_that_goes_wrong_is_told_and_nothing_is_sent(robotrain, pinned, body, said):
    pinned(body)
    answer = robotrain(*SUBMIT)
    assert answer.exit_code == 4
    assert f"source pet (acme-pet 1.0) failed in pinning (resolve): {said}" in answer.stderr
    assert "robotrain --without acme-pet …" in answer.stderr
    assert "c2VjcmV0" not in answer.stdout + answer.stderr
    assert robotrain("runs").stdout == ""
    assert robotrain(*SUBMIT, "--no-pin").exit_code == 0


def test_a_pin_with_a_secret_is_not_kept(robotrain, pinned):
    pinned("return 'https://a/b?x=1&sig=c2VjcmV0'")
    answer = robotrain(*SUBMIT)
    assert answer.exit_code == 4
    assert "cannot resolve the revision of rex" in answer.stderr
    assert "c2VjcmV0" not in answer.stdout + answer.stderr
    assert robotrain("runs").stdout == ""


def test_a_pin_that_never_comes_is_given_up(robotrain, pinned, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "0.2")
    pinned("import threading\nthreading.Event().wait()")
    answer = robotrain(*SUBMIT)
    assert answer.exit_code == 4
    assert "failed in pinning (resolve): it gave no answer in 0.2 s" in answer.stderr


def test_what_pinning_prints_is_no_result(robotrain, pinned):
    pinned("print('noise')\nreturn 'v7'")
    answer = robotrain(*SUBMIT, "--json")
    assert answer.json["platform"] == "plain"
    assert "noise" in answer.stderr


def test_a_pinning_that_is_none_is_told_when_the_kind_is_brought(robotrain, install):
    pet = kind().replace("recognizes=", "pinning='v7', recognizes=")
    install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=pet)
    (row,) = [row for row in robotrain("plugins", "--json").json["plugins"] if row["claim"] == "source.pet"]
    assert "its `pinning` is a str; expected a robotrain.plugin.Pinning" in row["failure"]
