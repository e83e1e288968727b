"""Pinning of a plugin's source kind that fails: the plugin is named, and nothing is sent."""

import pytest
from plugin_sources import PLATFORM, indent, make_source_kind

PIN = """

class Pet(str):
    kind = "pet"

from robotrain.errors import Rejected
from robotrain.model.source import Pinning

def resolve(source, role):
BODY
PINNING = Pinning(resolve=resolve, explain_lost_pin=lambda source, role, pin: "")
"""
SUBMIT = ("submit", "--platform", "plain", "--pet", "rex")


@pytest.fixture
def install_pinning(install):
    """Install `plain`, and the source kind `pet` whose pin this body returns."""

    def install_pinning(body: str) -> None:
        pet = make_source_kind("lambda text, base: Pet(text)", pinning="PINNING")
        install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=pet + PIN.replace("BODY", indent(body, 4)))
        platform = PLATFORM.replace('KINDS = ("huggingface",', 'KINDS = ("pet", "huggingface",')
        install("acme-plain", {"platform.plain": "acme_plain"}, acme_plain=platform)

    return install_pinning


FAILURES = [
    ("raise SystemExit(3)", "failed in pinning (resolve): SystemExit: 3"),
    ("raise GeneratorExit('team')", "failed in pinning (resolve): GeneratorExit: team"),
    ("raise OSError('team')", "failed in pinning (resolve): OSError: team"),
    ("raise Rejected([])", "failed in pinning (resolve): Rejected"),
    ("return 7", "failed in pinning (resolve): it returned an object of the type int; expected str"),
    ("return 'https://a/b?x=1&sig=c2VjcmV0'", "cannot resolve the revision of rex"),
]


@pytest.mark.parametrize(("body", "reason"), FAILURES)
def test_pin_that_fails_or_holds_a_secret_is_not_sent(robotrain, install_pinning, body, reason):
    install_pinning(body)
    answer = robotrain(*SUBMIT)
    assert answer.exit_code == 4
    assert reason in answer.stderr
    assert "c2VjcmV0" not in answer.stdout + answer.stderr
    assert robotrain("runs").stdout == ""
    if "failed in" in reason:
        assert "source pet (acme-pet 1.0) failed" in answer.stderr
        assert "robotrain --without acme-pet …" in answer.stderr
        assert robotrain(*SUBMIT, "--no-pin").exit_code == 0


def test_pinning_that_hangs_is_abandoned(robotrain, install_pinning, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "0.2")
    install_pinning("import threading\nthreading.Event().wait()")
    answer = robotrain(*SUBMIT)
    assert answer.exit_code == 4
    assert "failed in pinning (resolve): it gave no answer in 0.2 s" in answer.stderr
