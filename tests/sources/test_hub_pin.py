"""What a name on the Hub means now: asked of a server that speaks as the Hub does, through the Hub's own library."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from azure_stand_in import Fault
from hub_stand_in import Answer, Repository
from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface import fetch, pin
from robotrain_sources.huggingface.kind import KIND

MAIN = "0123456789abcdef0123456789abcdef01234567"
TAGGED = "89abcdef0123456789abcdef0123456789abcdef"
TOKEN = "hf_" + "S3CRET" * 6
OTHER = "hf_" + "OUTDATED" * 5


def answer_info(kind: str, name: str, commit: str, gated: str | bool = False) -> Answer:
    body = {"_id": "65", "id": name, "sha": commit, "gated": gated, "private": False, "disabled": False, "tags": []}
    return 200, {}, body | {"siblings": [], "downloads": 0, "likes": 0, "createdAt": "2024-02-26T22:00:57.000Z"}


def answer_refused(status: int, code: str = "", message: str = "") -> Answer:
    values = {"X-Error-Code": code, "X-Error-Message": message}
    return status, {name: text for name, text in values.items() if text}, {"error": message}


@pytest.fixture
def hub(hub, monkeypatch, tmp_path):
    """The stand-in, with one dataset of two revisions; the machine has no token."""
    hub.token = TOKEN
    commits = {MAIN: {"meta/info.json": b"{}"}, TAGGED: {"data.bin": b"x"}}
    hub.repositories["datasets/u/d"] = Repository(commits, {"main": MAIN, "v3.0": TAGGED})
    refs = {"branches": [_ref("main")], "tags": [_ref("v3.0")], "converts": []}
    hub.answers["/api/datasets/u/d/refs"] = (200, {}, refs)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    return hub


def list_paths(hub) -> list[str]:
    """The paths of the requests."""
    return [request.partition(" ")[2] for request in hub.requests]


def _ref(name: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/x/{name}", "targetCommit": MAIN}


def resolve_pin(text: str, role: str = "dataset") -> str:
    assert KIND.pinning is not None
    return KIND.pinning.resolve(KIND.parse(text, Path("/")), role)


def explain_lost_pin(text: str, commit: str, role: str = "dataset") -> str:
    assert KIND.pinning is not None
    return KIND.pinning.explain_lost_pin(KIND.parse(text, Path("/")), role, commit)


def find_missing(text: str) -> list[str]:
    assert KIND.pinning is not None
    return list(KIND.pinning.find_missing(KIND.parse(text, Path("/")), "dataset", ("meta/info.json",)))


def resolve_refused(text: str, role: str = "dataset") -> SourceError:
    with pytest.raises(SourceError) as raised:
        resolve_pin(text, role)
    assert raised.value.why.endswith(".")
    assert TOKEN not in raised.value.why
    assert OTHER not in raised.value.why
    return raised.value


def test_a_name_means_the_commit_of_its_revision(hub):
    assert resolve_pin("u/d") == MAIN
    assert resolve_pin("u/d@v3.0") == TAGGED


def test_the_first_question_of_a_process_is_one_request_and_nothing_is_told_about_the_process(hub):
    """The Hub's library asks what programs it may be started by, once a day, where it was told nothing else."""
    code = (
        "from pathlib import Path\n"
        "from robotrain_sources.huggingface.kind import KIND\n"
        "source = KIND.parse('u/d', Path('/'))\n"
        "pin = KIND.pinning.resolve(source, 'dataset')\n"
        "print(KIND.pinning.read_files(source, 'dataset', pin, ('meta/info.json',)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "{'meta/info.json': b'{}'}"
    assert list_paths(hub) == ["/api/datasets/u/d", f"/datasets/u/d/resolve/{MAIN}/meta/info.json"]


def test_a_commit_is_its_own_pin_and_nobody_is_asked(hub):
    assert resolve_pin(f"u/d@{TAGGED}") == TAGGED
    assert list_paths(hub) == []


@pytest.mark.parametrize("role", ["policy", "init_policy"])
def test_a_policy_is_a_model(hub, role):
    hub.answers["/api/models/u/d"] = answer_info("model", "u/d", TAGGED)
    assert resolve_pin("u/d", role) == TAGGED
    assert list_paths(hub) == ["/api/models/u/d"]


def test_a_branch_with_a_slash_is_one_name(hub):
    hub.answers["/api/datasets/u/d/revision/feature%2Fx"] = answer_info("dataset", "u/d", TAGGED)
    assert resolve_pin("u/d@feature/x") == TAGGED


def test_a_renamed_repository_is_followed(hub):
    hub.answers["/api/datasets/old/d"] = (307, {"Location": "/api/datasets/u/d"}, {})
    assert resolve_pin("old/d") == MAIN


def test_the_token_of_the_machine_opens_a_private_repository(hub, monkeypatch):
    hub.repositories["datasets/u/d"].shut = "private"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert resolve_pin("u/d") == MAIN


def test_who_is_not_logged_in_hears_that_it_may_be_private(hub):
    refusal = resolve_refused("u/private")
    assert "no public dataset u/private" in refusal.why
    assert "check the spelling" in refusal.why
    assert "`hf auth login`" in refusal.why
    assert "HF_TOKEN" in refusal.why


def test_who_is_logged_in_hears_that_the_account_sees_none(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "your token has no access" in resolve_refused("u/private").why


def test_a_revision_that_is_not_there_is_named(hub):
    hub.answers["/api/datasets/u/d/revision/v3"] = answer_refused(404, "RevisionNotFound", "Invalid rev id: v3")
    refusal = resolve_refused("u/d@v3")
    assert refusal.why == "The dataset u/d has no revision v3."


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_is_shown_and_its_files_are_not_given(hub, status):
    """The Hub answers what such a repository holds to everybody: only asking for access tells."""
    hub.answers["/api/datasets/u/d"] = answer_info("dataset", "u/d", MAIN, gated="manual")
    hub.answers["/api/datasets/u/d/auth-check"] = answer_refused(
        status, "GatedRepo", "Access to dataset u/d is restricted."
    )
    refusal = resolve_refused("u/d")
    assert "is gated: request access at " + hub.address + "/datasets/u/d" in refusal.why
    assert "HF_TOKEN" in refusal.why


def test_an_account_that_was_not_let_in_hears_where_to_ask(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.answers["/api/models/u/p"] = answer_info("model", "u/p", MAIN, gated="auto")
    hub.answers["/api/models/u/p/auth-check"] = answer_refused(403, "GatedRepo", "Access to model u/p is restricted.")
    refusal = resolve_refused("u/p", "policy")
    assert f"request access at {hub.address}/u/p; your token has no access" in refusal.why


def test_a_gated_repository_that_lets_the_account_in_is_pinned(hub):
    hub.answers["/api/datasets/u/d"] = answer_info("dataset", "u/d", MAIN, gated="auto")
    hub.answers["/api/datasets/u/d/auth-check"] = (200, {}, {})
    assert resolve_pin("u/d") == MAIN


def test_a_token_that_is_wrong_or_old_is_named_as_that(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", OTHER)
    reason = resolve_refused("u/d").why
    assert ("does not accept your token" in reason, "`hf auth login`" in reason) == (True, True), reason


def test_a_token_without_the_right_to_read_is_named_as_that(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.answers["/api/datasets/u/d"] = answer_refused(403, message="Forbidden: pass a token that may read")
    reason = resolve_refused("u/d").why
    assert "does not give the dataset u/d (HTTP 403)" in reason
    assert "your token has no access" in reason


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            answer_refused(403, message="Forbidden: pass a token that may read"),
            "a token is needed: log in",
        ),
        (answer_refused(404), "no public dataset u/d"),
        (answer_refused(401, message="Invalid username or password."), "no public dataset u/d"),
        (answer_refused(429), "too many requests"),
        (answer_refused(500), "answered HTTP 500"),
        (answer_refused(503), "answered HTTP 503"),
        ((200, {}, b"<html>A proxy says hello</html>"), "is not a Hugging Face Hub: check HF_ENDPOINT"),
        ((200, {}, {"hello": "world"}), "is not a Hugging Face Hub: check HF_ENDPOINT"),
        ((200, {}, ["hello"]), "is not a Hugging Face Hub: check HF_ENDPOINT"),
        ((200, {}, {"id": "u/d", "sha": None}), "is not a Hugging Face Hub: check HF_ENDPOINT"),
    ],
)
def test_each_answer_of_the_hub_has_a_reason(hub, answer, told, monkeypatch):
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    hub.answers["/api/datasets/u/d"] = answer
    assert told in resolve_refused("u/d").why


def test_a_hub_that_is_not_there_is_named_without_its_password(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://me:S3CRET@127.0.0.1:{port}")
    assert resolve_refused("u/d").why == f"The Hub at 127.0.0.1:{port} cannot be reached: Connection refused."


@pytest.mark.parametrize("password", ["S3CRET/more", "more?S3CRET", "S3CRET#more"])
def test_nothing_of_a_password_is_in_what_is_wrong_with_the_address(monkeypatch, password):
    monkeypatch.setenv("HF_ENDPOINT", f"http://me:{password}@127.0.0.1:9")
    reason = resolve_refused("u/d").why
    assert reason.startswith("HF_ENDPOINT cannot be used: the address is not valid")
    with pytest.raises(FetchError) as raised:
        fetch.open("u/d", "", "dataset", "")
    assert "S3CRET" not in f"{reason} {raised.value}"


@pytest.mark.parametrize("address", ["hub.example", "ftp://hub.example", "http://", "https://me:S3CRET@"])
def test_an_address_needs_a_scheme_of_the_web_and_a_host(monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    reason = resolve_refused("u/d").why
    assert reason.startswith("HF_ENDPOINT cannot be used: ")
    assert "S3CRET" not in reason
    with pytest.raises(FetchError) as raised:
        fetch.open("u/d", "", "dataset", "")
    assert (f"{raised.value}.", raised.value.fault) == (reason, "configuration")


@pytest.mark.parametrize("character", ["\u00e9", "\u2026", " ", "\x01"])
def test_a_token_of_characters_that_none_has_is_refused_without_asking(hub, monkeypatch, character):
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}{character}{OTHER}")
    assert resolve_refused("u/d").why.startswith("The token (HF_TOKEN, or that of `hf auth login`) has characters")
    with pytest.raises(FetchError, match="HF_TOKEN") as raised:
        fetch.open("u/d", "", "dataset", "")
    assert (TOKEN in str(raised.value), raised.value.fault, list_paths(hub)) == (False, "configuration", [])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_request_that_is_refused_for_a_moment_is_repeated(hub, monkeypatch, status):
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    hub.faults.append(Fault("GET /api/datasets/u/d", status=status, times=1))
    assert resolve_pin("u/d") == MAIN


def test_a_hub_that_says_nothing_is_not_waited_for(hub, monkeypatch):
    monkeypatch.setattr(pin, "REQUEST_SECONDS", 0.1)
    held = threading.Event()

    def silent() -> Answer:
        held.wait(30)
        return answer_refused(500)

    hub.answers["/api/datasets/u/d"] = silent
    try:
        assert "did not answer in time" in resolve_refused("u/d").why
    finally:
        held.set()


def test_a_hub_that_goes_on_talking_is_not_waited_for_either(monkeypatch):
    """Each byte is in time, and the answer never ends."""
    monkeypatch.setattr(pin, "DEADLINE_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    connection.sendall(b"X-More: to come\r\n")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        try:
            assert resolve_refused("u/d").why == "The Hub did not answer within 0.5 seconds."
        finally:
            over.set()
            thread.join()


def test_a_file_that_a_repository_does_not_hold_is_told(hub):
    assert find_missing("u/d@v3.0") == ["meta/info.json"]
    assert find_missing("u/d") == []


def test_of_a_commit_nobody_is_asked_what_it_holds(hub):
    assert find_missing(f"u/d@{MAIN}") == []
    assert list_paths(hub) == []


def test_a_private_repository_may_be_sent_and_a_missing_revision_may_not(hub):
    assert not isinstance(resolve_refused("u/private"), SourceNotFound)
    hub.answers["/api/datasets/u/d/revision/v4"] = answer_refused(404, "RevisionNotFound", "Invalid rev id")
    assert isinstance(resolve_refused("u/d@v4"), SourceNotFound)


def test_request_that_is_refused_for_good_is_sent_once(hub):
    hub.answers["/api/datasets/u/d"] = answer_refused(403)
    resolve_refused("u/d")
    assert list_paths(hub).count("/api/datasets/u/d") == 1


@pytest.mark.slow
def test_who_works_offline_hears_how_to_do_without_the_hub():
    code = (
        "from pathlib import Path\n"
        "from robotrain.model.source import SourceError, SourceUnreachable\n"
        "from robotrain_sources.huggingface.kind import KIND\n"
        "try:\n"
        "    KIND.pinning.resolve(KIND.parse('u/d@main', Path()), 'dataset')\n"
        "except SourceError as refused:\n"
        "    print(refused.why, refused.suggestion, sep='|')\n"
        f"print(KIND.pinning.resolve(KIND.parse('u/d@{MAIN}', Path()), 'dataset'))"
    )
    environ = os.environ | {"HF_HUB_OFFLINE": "1"}
    output = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    ).stdout
    sentence, commit = output.splitlines()
    assert sentence.startswith("HF_HUB_OFFLINE is set, so the commit of u/d@main cannot be resolved")
    assert sentence.endswith("unset it, or name a commit.|u/d@COMMIT")
    assert commit == MAIN


def test_a_pin_is_there_as_long_as_the_hub_has_the_commit(hub):
    assert explain_lost_pin("u/d@v3.0", MAIN) == ""
    assert list_paths(hub) == [f"/api/datasets/u/d/revision/{MAIN}"]


def test_a_pin_that_is_gone_is_a_sentence(hub):
    hub.answers[f"/api/datasets/u/d/revision/{TAGGED}"] = answer_refused(404, "RevisionNotFound", "Invalid rev id")
    assert explain_lost_pin("u/d", TAGGED) == (
        f"The dataset u/d no longer has the commit {TAGGED}: its history was rewritten."
    )
    assert "no public dataset u/gone" in explain_lost_pin("u/gone", MAIN)


def test_a_hub_that_cannot_be_asked_says_nothing_of_a_pin(hub, monkeypatch):
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    hub.answers[f"/api/datasets/u/d/revision/{MAIN}"] = answer_refused(503)
    with pytest.raises(SourceError, match="answered HTTP 503"):
        explain_lost_pin("u/d", MAIN)


def test_a_command_that_pins_nothing_does_not_load_the_library():
    code = "import sys, robotrain_sources.huggingface.kind; print('huggingface_hub' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"


def test_a_hub_that_does_not_answer_says_nothing_against_a_commit(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceUnreachable, match="cannot be reached"):
        explain_lost_pin("u/d", MAIN)
    with pytest.raises(SourceError) as raised:  # but a branch has to be resolved
        resolve_pin("u/d")
    assert not isinstance(raised.value, SourceUnreachable)
    with pytest.raises(SourceError, match="cannot be reached"):
        KIND.pinning.read_files(KIND.parse("u/d", Path("/")), "dataset", MAIN, ("meta/info.json",))


def test_files_of_a_commit_are_downloaded(hub, tmp_path):
    content = bytes(range(256)) * 400
    hub.repositories["datasets/u/d"].commits[MAIN].update({"data/a.parquet": content})
    source, pinning = KIND.parse("u/d", Path("/")), KIND.pinning
    sizes = pinning.list_files(source, "dataset", MAIN)
    assert sizes == {"meta/info.json": 2, "data/a.parquet": 102_400}
    pinning.download(source, "dataset", MAIN, [*sizes], tmp_path, 20.0)
    assert (tmp_path / "data/a.parquet").read_bytes() == content
    with pytest.raises(SourceError):
        pinning.download(source, "dataset", MAIN, ["no-such"], tmp_path, 20.0)
