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


FAILURES = ("raise OSError('team')", "raise Rejected([])", "return 'https://a/b?x=1&sig=c2VjcmV0'")


@pytest.mark.parametrize("body", FAILURES)
def test_pin_that_fails_or_holds_a_secret_is_not_sent(robotrain, install_pinning, body):
    install_pinning(body)
    answer = robotrain(*SUBMIT)
    answer.check_problems(4, "pin-unknown dataset rex")
    assert "c2VjcmV0" not in answer.stdout + answer.stderr
    assert robotrain("runs").stdout == ""
    if "sig=" not in body:
        assert robotrain(*SUBMIT, "--no-pin").exit_code == 0
