"""Policies of the Hub really fetched: by the huggingface_hub of the data environment, from a Hub of this machine."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from robotrain_runtime.document import Source
from robotrain_runtime.half import Place
from robotrain_sources.huggingface import container

pytestmark = pytest.mark.slow

WEIGHTS = os.urandom(200_000)
POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": WEIGHTS, "sub/notes.txt": b"a note"}
NAME = "me/act_pusht"


@pytest.fixture
def place(tmp_path, data_python) -> Place:
    said: list[str] = []
    return Place(cache=tmp_path / "cache", python=data_python, say=said.append)


def policy(uri: str = NAME, pin: str = "", role: str = "policy") -> Source:
    return Source(role=role, kind="huggingface", uri=uri, pin=pin)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def said(place: Place) -> str:
    return "\n".join(place.say.__self__)


def test_a_policy_comes_whole_and_says_so(hub, place):
    commit = hub.repository(NAME, POLICY)
    folder = container.fetch(policy(), place)
    assert content(folder) == POLICY
    assert commit in folder.parts
    assert f"fetched {NAME}@{commit[:8]}: 200.0 kB in" in said(place)


def test_a_second_run_downloads_nothing(hub, place):
    commit = hub.repository(NAME, POLICY)
    first = container.fetch(policy(), place)
    hub.requests.clear()
    assert container.fetch(policy(), place) == first
    assert hub.requests == [f"GET /api/models/{NAME}?blobs=true"]  # which commit is it now?
    hub.requests.clear()
    assert container.fetch(policy(pin=commit), place) == first
    assert hub.requests == []


def test_what_is_pinned_is_fetched_though_the_branch_moved(hub, place):
    pinned = hub.repository(NAME, POLICY)
    moved = hub.repositories[f"models/{NAME}"].commit({**POLICY, "config.json": b"{}"})
    assert content(container.fetch(policy(pin=pinned), place)) == POLICY
    assert content(container.fetch(policy(), place))["config.json"] == b"{}"
    assert content(container.fetch(policy(f"{NAME}@{pinned}"), place)) == POLICY
    assert moved != pinned


def test_a_pin_that_is_there_needs_no_hub(hub, place, monkeypatch):
    commit = hub.repository(NAME, POLICY)
    folder = container.fetch(policy(), place)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert container.fetch(policy(pin=commit), place) == folder


def test_datasets_have_a_place_of_their_own(hub, place):
    hub.repository(NAME, {"meta/info.json": b"{}"}, kind="dataset")
    assert content(container.fetch(policy(role="dataset"), place)) == {"meta/info.json": b"{}"}
    with pytest.raises(OSError, match="shows no model"):
        container.fetch(policy(), place)


def test_pickled_weights_are_left_where_they_are(hub, place):
    hub.repository(NAME, {**POLICY, "pytorch_model.bin": b"run me", "optimizer.pt": b"me too"})
    assert content(container.fetch(policy(), place)) == POLICY


def test_pickled_weights_come_when_there_are_no_others(hub, place):
    only = {"config.json": b"{}", "pytorch_model.bin": b"weights"}
    hub.repository(NAME, only)
    assert content(container.fetch(policy(), place)) == only


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_wrong_byte_is_never_kept(hub, place, name):
    commit = hub.repository(NAME, POLICY)
    hub.flip.add(name)
    with pytest.raises(OSError, match=f"{name} of {NAME} did not arrive as the Hub has it"):
        container.fetch(policy(pin=commit), place)
    hub.flip.clear()
    assert content(container.fetch(policy(pin=commit), place)) == POLICY


def test_a_download_that_breaks_off_goes_on_and_its_address_is_not_told(hub, place):
    hub.repository(NAME, POLICY)
    hub.cut["model.safetensors"] = 2
    assert content(container.fetch(policy(), place)) == POLICY
    assert "5ecretSignature" not in said(place)


def test_one_that_is_killed_half_way_is_done_again(hub, place, data_python, tmp_path):
    large = {"config.json": b"{}", "model.safetensors": os.urandom(60_000_000)}
    commit = hub.repository(NAME, large)
    to = place.cache / "sources/huggingface/models/me--act_pusht"
    command = [data_python, "-m", container.FETCH, NAME, "--repo-type", "model", "--to", to]
    from robotrain_sources.fetching.program import _environ

    killed = subprocess.Popen(command, env=_environ(), stdout=subprocess.DEVNULL)
    while not list(to.glob("*.part/files/**/*.incomplete")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (to / commit).exists()
    assert content(container.fetch(policy(), place)) == large
    assert sorted(path.name for path in to.iterdir()) == [commit, f"{commit}.lock"]


REFUSALS = [
    ("private", {}, "shows no model me/act_pusht: it does not exist, or it is private and HF_TOKEN is not set"),
    ("gated", {}, "is gated: accept its conditions at http://127.0.0.1:[0-9]+/me/act_pusht and set HF_TOKEN"),
    ("", {"HF_TOKEN": "hf_wrongWRONGwrong"}, r"does not accept your token \(HF_TOKEN\), for me/act_pusht \(HTTP 401\)"),
    ("", {"HF_HUB_OFFLINE": "1"}, "is not in the cache, and HF_HUB_OFFLINE forbids to ask for it"),
    ("", {"HF_ENDPOINT": "http://me:s3cret@127.0.0.1:9"}, "the connection to the Hub at 127.0.0.1 failed .*refused"),
    ("", {"HF_ENDPOINT": "http://hub.invalid"}, "the connection to the Hub at hub.invalid failed"),
]


@pytest.mark.parametrize(("shut", "environ", "why"), REFUSALS)
def test_what_the_hub_does_not_give_is_one_sentence_without_a_secret(hub, place, monkeypatch, shut, environ, why):
    hub.repository(NAME, POLICY)
    hub.repositories[f"models/{NAME}"].shut = shut
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match=why) as raised:
        container.fetch(policy(), place)
    told = str(raised.value) + said(place)
    assert "\n" not in str(raised.value)
    assert "s3cret" not in told
    assert "WRONG" not in told
    assert list(place.cache.rglob("files")) == []


def test_a_token_opens_what_is_shut_and_goes_to_the_hub_alone(hub, place, monkeypatch):
    hub.repository(NAME, POLICY)
    hub.repositories[f"models/{NAME}"].shut = "gated"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert content(container.fetch(policy(), place)) == POLICY  # the stand-in's storage refuses whoever shows a token


def test_a_revision_that_is_not_there(hub, place):
    hub.repository(NAME, POLICY)
    with pytest.raises(OSError, match="me/act_pusht has no revision v9 on the Hub"):
        container.fetch(policy(f"{NAME}@v9"), place)


def test_a_hub_that_has_a_bad_day(hub, place):
    hub.status = 503
    with pytest.raises(OSError, match=r"the Hub at 127\.0\.0\.1 answered HTTP 503 for me/act_pusht: try again later"):
        container.fetch(policy(), place)


def test_a_name_that_leads_out_of_the_folder_is_refused(hub, place, tmp_path):
    hub.repository(NAME, {**POLICY, "../../../evil": b"evil"})
    with pytest.raises(OSError, match="leads out of the folder"):
        container.fetch(policy(), place)
    assert not list(tmp_path.rglob("evil"))
