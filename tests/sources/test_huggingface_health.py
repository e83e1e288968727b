"""What `robotrain doctor` says of the Hugging Face Hub: a token or none, and with `--online` if the Hub takes it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import json
from robotrain_sources.huggingface import pin
checks = pin.list_health_checks()
print(json.dumps([[check.online, one.state, one.text] for check in checks for one in check.run()]))
"""
GOOD = "hf_" + "good" * 8


@pytest.fixture
def hub(hub):
    """A Hub that knows one person."""
    hub.token = GOOD
    hub.answers["/api/whoami-v2"] = (200, {}, {"name": "ada"})
    return hub


@pytest.fixture
def check_health(tmp_path: Path):
    """A process of its own: the Hub's library reads the environment when it is imported."""

    def look(**environ: str) -> list[list]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        environ = {**inherited, "HF_HOME": str(tmp_path), "HOME": str(tmp_path), **environ}
        done = subprocess.run([sys.executable, "-c", LOOK], env=environ, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return look


def test_without_a_token_public_repositories_can_be_had(check_health, hub):
    (online, state, says), answers = check_health(HF_ENDPOINT=hub.address)
    assert (online, state) == (False, "ok")
    assert "public repositories only" in says
    assert answers == [True, "ok", "127.0.0.1 answers"]


def test_a_token_is_found_where_the_library_keeps_it(check_health, tmp_path):
    (tmp_path / "token").write_text(GOOD)
    assert check_health(HF_ENDPOINT="http://127.0.0.1:9")[0][2] == f"a token is set ({tmp_path / 'token'})"


def test_the_hub_says_who_it_takes_the_token_for(check_health, hub):
    result = check_health(HF_TOKEN=GOOD, HF_ENDPOINT=hub.address)
    assert result == [[False, "ok", "a token is set (HF_TOKEN)"], [True, "ok", "127.0.0.1: signed in as ada"]]


def test_a_token_that_the_hub_does_not_take_is_named_and_not_shown(check_health, hub):
    *_, (online, state, says) = check_health(HF_TOKEN="hf_" + "old0" * 8, HF_ENDPOINT=hub.address)
    assert (online, state, says) == (True, "warn", "127.0.0.1 does not accept the token: it is wrong or has expired")


def test_a_token_of_characters_that_none_has_is_a_warning(check_health, hub):
    ((online, state, text),) = check_health(HF_TOKEN=f"{GOOD}\u00e9", HF_ENDPOINT=hub.address)
    assert (online, state, "has characters that no token has" in text) == (False, "warn", True)
    assert GOOD not in text


@pytest.mark.parametrize("token", [GOOD, ""])
def test_a_hub_that_cannot_be_reached_is_named(check_health, token):
    *_, (_, state, says) = check_health(HF_TOKEN=token, HF_ENDPOINT="http://127.0.0.1:9")
    assert state == "warn"
    assert says.startswith("127.0.0.1 cannot be reached: ")


def test_that_the_library_was_told_to_stay_offline_is_said(check_health):
    state, text = check_health(HF_HUB_OFFLINE="1")[0][1:]
    assert state == "warn"
    assert "HF_HUB_OFFLINE is set" in text


def test_an_address_that_is_not_valid_is_a_warning_without_its_password(check_health):
    ((online, state, text),) = check_health(HF_TOKEN=GOOD, HF_ENDPOINT="http://me:S3CRET/more@127.0.0.1:9")
    assert (online, state, text.startswith("HF_ENDPOINT cannot be used")) == (False, "warn", True)
    assert "S3CRET" not in text
