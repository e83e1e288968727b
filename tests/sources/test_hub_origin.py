"""Repositories of the Hub as the transfer sees them: listed by its own library, from a Hub of this machine."""

import errno
import hashlib
import itertools
import json
import socketserver
import threading
import time
from contextlib import suppress

import pytest
from azure_stand_in import Fault
from origin_files import STRANGE_NAMES, compute_digests, read_origin
from problem_assertions import check_refusals
from robotrain_runtime.contract import checkpoint
from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface import fetch, layout

NAME = "me/act_pusht"
POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": b"weights" * 1000, "sub/notes.txt": b"a note"}


@pytest.fixture
def secret(tmp_path):
    """A file that holds this."""

    def write(content: str) -> str:
        (tmp_path / "token").write_text(f"{content}\n")
        return str(tmp_path / "token")

    return write


def open_files(uri: str = NAME, pin: str = "", role: str = "policy", credential: str = "") -> fetch.RepositoryFiles:
    return fetch.open(uri, pin, role, credential)


def list_names(**options: str) -> list[str]:
    return sorted(entry.name for entry in open_files(**options).list_files())


def describe_refusal(**options: str) -> tuple[str, str]:
    """What is said, and whose fault it is."""
    files = open_files(**options)
    with pytest.raises(Exception) as raised:
        list(files.list_files())
    result = files.explain_error(raised.value)
    assert "\n" not in str(result)
    assert "s3cret" not in str(result)
    return str(result), result.fault


def test_a_file_is_known_by_what_the_hub_knows_it_by(hub):
    hub.repository(NAME, POLICY)
    identities = {entry.name: entry.identity for entry in open_files().list_files()}
    assert identities["model.safetensors"] == f"sha256:{hashlib.sha256(POLICY['model.safetensors']).hexdigest()}"
    assert identities["config.json"].startswith("git:")


def test_a_repository_of_very_many_files_is_listed_page_by_page(hub, monkeypatch):
    files = {f"data/{number:02}": b"x" * number * 400 for number in range(10)}
    hub.repository(NAME, files, kind="dataset")
    short = [(entry.name, entry.size, entry.identity) for entry in open_files(role="dataset").list_files()]
    monkeypatch.setattr(fetch, "MAX_SIBLINGS", 2)
    hub.page = 3
    assert [(entry.name, entry.size, entry.identity) for entry in open_files(role="dataset").list_files()] == short
    assert len([request for request in hub.requests if "/tree/" in request]) > 3


def test_what_is_pinned_is_listed_though_the_branch_moved(hub):
    pinned = hub.repository(NAME, POLICY)
    hub.repositories[f"models/{NAME}"].commit({"other.txt": b""})
    assert list_names(pin=pinned) == list_names(uri=f"{NAME}@{pinned}") == sorted(POLICY)
    assert list_names() == ["other.txt"]


def test_pickled_weights_of_a_policy_are_left_where_safe_ones_are_and_a_dataset_comes_whole(hub):
    files = {**POLICY, "pytorch_model.bin": b"run me", ".cache/huggingface/x.lock": b""}
    hub.repository(NAME, files)
    hub.repository(NAME, files, kind="dataset")
    assert list_names() == sorted(POLICY)
    assert list_names(role="dataset") == sorted([*POLICY, "pytorch_model.bin"])
    assert open_files().place != open_files(role="dataset").place


def test_an_empty_repository_says_so(hub):
    commit = hub.repository(NAME, {})
    files = open_files()
    assert list(files.list_files()) == []
    assert str(files.explain_empty()) == f"{NAME} has no files at {commit}"


REFUSALS = [
    ({"HF_TOKEN": "hf_s3cretWRONG"}, "does not accept your token (HF_TOKEN) for me/act_pusht", "configuration"),
    ({"HF_ENDPOINT": "http://me:s3cret@127.0.0.1:9"}, "the Hub at 127.0.0.1:9 cannot be reached", "network"),
    ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set", "configuration"),
    ({"HF_ENDPOINT": "https://h.example", "HTTPS_PROXY": "socks5://127.0.0.1:9"}, "ImportError: Using SOCKS", "code"),
    ({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, "FileNotFoundError", "configuration"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("environ", "message", "fault"), REFUSALS)
def test_a_refusal_of_the_hub_is_one_sentence_without_a_secret(hub, data_python, monkeypatch, environ, message, fault):
    hub.repository(NAME, POLICY)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    answer = read_origin(data_python, fetch.__name__, NAME)
    assert message in answer["refused"]
    assert answer["fault"] == fault
    assert "s3cret" not in str(answer)


def test_a_revision_that_is_not_there(hub):
    hub.repository(NAME, POLICY)
    assert "me/act_pusht has no revision v9 on the Hub" in describe_refusal(uri=f"{NAME}@v9")[0]


def test_a_hub_that_has_a_bad_day_is_asked_again_once(hub, monkeypatch):
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    hub.repository(NAME, POLICY)
    hub.faults.append(Fault("GET /api/", status=503, times=1))
    assert list_names() == sorted(POLICY)
    hub.status = 503
    text = f"the Hub at 127.0.0.1:{hub.port} answered HTTP 503: try again later"
    assert describe_refusal() == (text, "network")


def test_a_token_in_a_file_opens_what_is_shut_and_a_wrong_one_is_told_by_its_file(hub, secret):
    hub.repository(NAME, POLICY)
    hub.repositories[f"models/{NAME}"].shut = "gated"
    assert list_names(credential=secret(hub.token)) == sorted(POLICY)
    text = f"the Hub at 127.0.0.1:{hub.port} does not accept the token in {secret('hf_s3cretWRONG')} for {NAME}"
    message, fault = describe_refusal(credential=secret("hf_s3cretWRONG"))
    assert (message.startswith(text), "(HTTP 401)" in message, fault) == (True, True, "configuration"), message
    with pytest.raises(FetchError) as raised:
        open_files(credential=secret("not a s3cret"))
    check_refusals(raised.value, "fetch-error configuration")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "pin", "message"),
    [
        ("https://huggingface.co/me/act", "", "is not a Hub repository: Use the repository's id"),
        (NAME, "main", "which is not a commit of 40 hex digits"),
    ],
)
def test_a_name_that_is_none_is_refused_without_asking_anybody(hub, uri, pin, message):
    with pytest.raises(FetchError) as refused:
        open_files(uri, pin)
    check_refusals(refused.value, "fetch-error configuration")
    assert hub.requests == []


@pytest.mark.slow
def test_every_file_comes_as_it_was_written_whatever_its_name(hub, data_python):
    small = {f"{name}/{name}.txt": f"content of {name}".encode() for name in STRANGE_NAMES}
    large = {f"large/{name}": content * 500 for name, content in small.items() if not set(name) & set("[]|^")}
    hub.repository(NAME, small | large, kind="dataset")
    came = read_origin(data_python, fetch.__name__, NAME, "", "dataset")
    assert came["files"] == compute_digests(small | large)


@pytest.mark.slow
def test_a_token_goes_to_the_hub_and_never_to_where_it_sends_on_to(hub, data_python, secret):
    hub.repository(NAME, POLICY)
    hub.repositories[f"models/{NAME}"].shut = "gated"
    came = read_origin(data_python, fetch.__name__, NAME, "", "policy", secret(hub.token))
    assert came["files"] == compute_digests(POLICY)
    assert hub.arrived_elsewhere
    assert not [arrived for arrived in hub.arrived_elsewhere if "authorization" in arrived.headers]


@pytest.mark.parametrize(
    ("error", "message", "fault"),
    [
        (MemoryError(), "me/act_pusht cannot be read: MemoryError: ", "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device", "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied"), "PermissionError: [Errno 13]", "access"),
        (UnicodeEncodeError("ascii", "\u00e9", 0, 1, "ordinal not in range(128)"), "UnicodeEncodeError: ", "code"),
    ],
    ids=repr,
)
def test_an_error_of_this_machine_is_not_blamed_on_the_hub(hub, monkeypatch, error, message, fault):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", fail)
    text = describe_refusal()
    assert (message in text[0], text[1]) == (True, fault), text
    assert "the Hub" not in text[0]


def test_a_connection_that_ends_is_told_in_the_words_of_the_library(hub, monkeypatch):
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    hub.repository(NAME, POLICY)
    hub.faults.append(Fault("GET /api/", gone=True))
    reason = "RemoteProtocolError: Server disconnected without sending a response"
    assert describe_refusal() == (f"the Hub at 127.0.0.1:{hub.port} cannot be reached: {reason}", "network")


@pytest.mark.slow
def test_a_token_that_may_not_read_a_file_is_told_where_access_is_requested(hub, data_python, secret):
    hub.repository(NAME, POLICY)
    hub.faults.append(Fault("GET .*/resolve/.*config.json", status=403))
    origin = read_origin(data_python, fetch.__name__, NAME, "", "policy", secret(hub.token))
    assert f"request access at {hub.address}/{NAME};" in origin["refused"]
    assert f"request access at {hub.address}/{NAME}" in origin["refused"]
    assert origin["fault"] == "configuration"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("response", "message", "fault"),
    [
        ({"status": 403}, "a token is needed: set HF_TOKEN", "configuration"),
        ({"status": 404}, "me/act_pusht was deleted on the Hub at 127.0.0.1", "data"),
        ({"status": 502}, "answered HTTP 502: try again later", "network"),
        ({"cut": True}, "the Hub at 127.0.0.1:{port} cannot be reached", "network"),
    ],
    ids=str,
)
def test_a_failure_of_one_file_is_one_sentence(hub, data_python, response, message, fault):
    hub.repository(NAME, POLICY)
    hub.faults.append(Fault("GET .*/resolve/.*config.json", **response))
    answer = read_origin(data_python, fetch.__name__, NAME)
    assert message.format(port=hub.port) in answer["refused"]
    assert answer["fault"] == fault


def test_a_page_of_a_listing_that_stops_coming_is_asked_for_again(hub, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_SIBLINGS", 2)
    monkeypatch.setattr(fetch, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.repository(NAME, POLICY)
    hub.page = 2
    hub.faults.append(Fault("GET .*/tree/.*cursor=2", stall=20, times=1))
    assert list_names() == sorted(POLICY)
    assert len([request for request in hub.requests if "cursor=2" in request]) == 2


class TransportError(Exception):
    """As the one is called that the library's client raises, whichever client it has."""


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TransportError("[Errno -2] Name or service not known"), "configuration"),
        (TransportError("[Errno -3] Temporary failure in name resolution"), "network"),
        (TransportError("timed out"), "network"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "configuration"),
        (RecursionError("while decoding a JSON array"), "configuration"),
        (MemoryError(), "out_of_memory"),
        (KeyError("siblings"), "code"),
    ],
    ids=repr,
)
def test_the_fault_of_an_error_that_ends_a_listing(hub, error, fault):
    assert open_files().explain_error(error).fault == fault


def test_a_cycle_of_causes_ends():
    error, cause = ValueError("a"), OSError("b")
    error.__cause__, cause.__cause__ = cause, error
    assert list(itertools.islice(errors.iter_causes(error), 9)) == [error, cause]


def test_files_of_a_repository_that_are_nested_without_end_are_no_manifest():
    deep = b"[" * 200_000
    assert checkpoint.parse_manifest(deep) is None
    assert layout.replace_machine_paths(deep, None) == deep


class DrippingHub(socketserver.StreamRequestHandler):
    """A Hub whose answer comes byte by byte, for ever."""

    start = b""

    def handle(self) -> None:
        self.rfile.readline()
        with suppress(OSError):
            self.wfile.write(self.start)
            while True:
                self.wfile.write(b"x")
                time.sleep(0.02)


BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Long: ", BODY], ids=["headers", "body"])
def test_a_hub_that_drips_is_not_waited_for(monkeypatch, start):
    monkeypatch.setattr(fetch, "INFO_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    handler = type("Handler", (DrippingHub,), {"start": start})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        text, fault = describe_refusal()
        server.shutdown()
    assert (fault, "no whole answer" in text) == ("network", True)
