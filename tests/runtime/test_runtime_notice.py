"""A run that tells a webhook itself how it ended: once, whatever the end, and no one else sees its address."""

import contextlib
import dataclasses
import json
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from local_server import serve_webhook
from robotrain_runtime.contract import notice
from robotrain_runtime.contract.event import Evaluated, Metrics, Outcome, format_event
from robotrain_runtime.contract.notice import post_notice
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.publishing.end_notice import EndNotice, format_notice

NOTIFY = "ROBOTRAIN_NOTIFY"


@pytest.fixture
def webhook():
    with serve_webhook() as served:
        yield served


@pytest.fixture
def told(job, webhook, tmp_path):
    """Make a document of a run that tells the webhook, or another address.

    of: other fields of the placement. secrets: others of the job.
    """

    def make(program: str = "pass", address: str = webhook.address, record=None, of=None, secrets=None):
        file = tmp_path / "address"
        file.write_text(f"{address}\n")
        made = job(program, secrets={NOTIFY: str(file), **(secrets or {})}, **(of or {}))
        return dataclasses.replace(made, record=record or {})

    return make


def check_secrecy(ran, work: Path) -> None:
    texts = [file.read_text(errors="replace") for file in work.rglob("*") if file.is_file()]
    assert "T0SECRET" not in "".join((*texts, *ran.lines, ran.stderr))


def test_run_that_succeeds_tells_its_name_and_the_next_command(run, told, webhook, tmp_path):
    ran = run(told(record={"name": "pick"}))
    assert ran.exit_code == 0
    assert webhook.texts == ["pick succeeded\nrun: pretend-1 on here\nnext: robotrain outputs pretend-1"]
    check_secrecy(ran, tmp_path / "work")


def test_run_that_fails_tells_why(run, told, webhook):
    assert run(told("raise ValueError('no such joint')")).exit_code == 1
    title, reason, _, after = webhook.texts[0].splitlines()
    assert (title, reason) == ("pretend-1 failed", "ValueError: no such joint")
    assert after == "next: robotrain logs --tail 40 pretend-1"


def test_run_that_fails_before_its_work_tells_too(run, told, webhook):
    assert run(told(secrets={"API_TOKEN": "/nowhere/token"})).exit_code == 4
    assert webhook.texts[0].startswith("pretend-1 failed\nthe secret API_TOKEN cannot be read")


def test_run_that_is_stopped_is_told_within_its_time(start, told, webhook):
    process = start(told("import time; print('begun', flush=True); time.sleep(60)"))
    for line in process.stdout:
        if "begun" in line:
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert webhook.texts == [
        "pretend-1 cancelled\nthe run was stopped\nrun: pretend-1 on here\nnext: robotrain resubmit pretend-1"
    ]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("{}/withdrawn", "status 404"),
        ("{}/moved", "status 302"),
        ("http://127.0.0.1:1/T0SECRET", "refused"),
        ("http://198.51.100.1/T0SECRET", "does not begin with https"),
        ("", "cannot be read"),
    ],
)
def test_webhook_that_fails_is_a_line_of_the_log_and_changes_nothing(run, told, webhook, tmp_path, address, reason):
    ran = run(told(address=address.format(webhook.address)))
    assert ran.exit_code == 0
    (line,) = [line for line in ran.ordinary if "warning: the webhook was not told: " in line]
    assert reason in line
    check_secrecy(ran, tmp_path / "work")


def test_no_program_of_the_run_has_the_address(run, job, webhook):
    show = "import os; print('seen', [name for name in os.environ if 'SECRET' in name or 'NOTIFY' in name])"
    ran = run(job(show, secrets={NOTIFY: "${PLATFORM_SECRET}"}), PLATFORM_SECRET=webhook.address)
    assert ran.ordinary == ["seen []"]
    assert len(webhook.taken) == 1


def test_address_in_a_store_of_secrets_is_read_at_the_end(run, job, webhook):
    made = job(secrets={NOTIFY: f"vault://{webhook.address.replace('://', '|')}"})
    plugins = {**made.container_plugins, "secrets.vault": "pretend_vault"}
    ran = run(dataclasses.replace(made, container_plugins=plugins))
    assert "the webhook was not told: its address does not begin with https" in "\n".join(ran.ordinary)


def test_store_that_cannot_be_loaded_keeps_no_address_in_a_file_from_being_used(run, told, webhook):
    made = told(secrets={"API_TOKEN": "vault://T0"})
    plugins = {**made.container_plugins, "secrets.vault": "no_such_module"}
    run(dataclasses.replace(made, container_plugins=plugins))
    assert [text.splitlines()[0] for text in webhook.texts] == ["pretend-1 failed"]


@pytest.mark.parametrize("damage", [None, b"\xff\n"], ids=["missing", "no text"])
def test_message_needs_no_events(job, tmp_path, damage):
    (tmp_path / "work").mkdir()
    if damage:
        (tmp_path / "work" / "events.jsonl").write_bytes(damage)
    text = format_notice(job(), Outcome(state="failed", exit_code=1, reason="no node"))
    assert text == "pretend-1 failed\nno node\nrun: pretend-1 on here\nnext: robotrain logs --tail 40 pretend-1"


@pytest.mark.parametrize("placed", [{"node_rank": "RANK_HERE"}, {"tells_end": True}], ids=["other node", "platform"])
def test_end_is_told_by_the_lead_and_not_if_the_platform_does(told, webhook, tmp_path, monkeypatch, placed):
    monkeypatch.setenv("RANK_HERE", "1")
    (tmp_path / "work").mkdir()
    with EventRelay(tmp_path / "work" / "events.jsonl") as relay:
        EndNotice(told(of=placed)).end_run(relay, Outcome(state="succeeded", exit_code=0))
    assert webhook.taken == []


def test_message_of_an_evaluation_has_its_scores(job, tmp_path):
    made = job()
    (tmp_path / "work").mkdir()
    scores = {
        "rollout/success_rate": 0.875,
        "rollout/success_rate_low": 0.5,
        "rollout/success_rate_high": 1.0,
        "n": 8.0,
    }
    events = [format_event(Evaluated(episodes=8, scores=scores, results="/x")), '{"event": "evaluated"', "a line"]
    (tmp_path / "work" / "events.jsonl").write_text("\n".join(events))
    _, score, _, after = format_notice(made, Outcome(state="succeeded", exit_code=0)).splitlines()
    assert score == "rollout/success_rate 0.875, rollout/success_rate_low 0.5, rollout/success_rate_high 1"
    assert after == "next: robotrain report pretend-1"


def serve_drops(server: socket.socket, ended: threading.Event) -> None:
    """Answer each request with a byte of a header now and then, until that is ended."""
    with contextlib.suppress(OSError):
        while True:
            connection = server.accept()[0]
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            threading.Thread(target=send_drops, args=(connection, ended), daemon=True).start()


def send_drops(connection: socket.socket, ended: threading.Event) -> None:
    with connection, contextlib.suppress(OSError):
        while not ended.wait(0.05):
            connection.sendall(b"x")


def test_host_that_answers_by_drops_holds_no_notice():
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve_drops, args=(server, ended), daemon=True).start()
        slow = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        assert post_notice(slow, "pick failed", 0.5) == "timed out"
        assert time.monotonic() - began < 2
        ended.set()


HOSTILE = "<!channel> <@U1> @everyone @here [the report](https://evil.example) <https://evil.example|robotrain> a<b&c"
SAFE = {
    "https://hooks.slack.com/services/T0/B0/x": ("<", "&c"),
    "https://discord.com/api/webhooks/1/x": ("<!", "<@", "@everyone", "@here", "]("),
    "https://prod-1.westus.logic.azure.com/workflows/1": ("<!", "<@", "@everyone", "@here", "]("),
    "https://chat.example/hooks/x": ("<!", "<@", "@everyone", "@here", "]("),
}
"""What calls people or hides an address, where the last line of a log is sent."""


@pytest.mark.parametrize("address", SAFE)
def test_a_notice_calls_nobody_and_disguises_no_link(address):
    place = urlsplit(address)
    body = json.loads(notice._make_content(place.hostname, place.path, HOSTILE)[0])
    text = json.dumps(body, ensure_ascii=False)
    assert [sign for sign in SAFE[address] if sign in text] == []
    assert "the report" in text
    assert body.get("allowed_mentions", {"parse": []}) == {"parse": []}


@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        ("https://discord.com/api/webhooks/1/x", "application/json", lambda body: json.loads(body)["content"]),
        ("https://hooks.slack.com/services/T0/B0/x", "application/json", lambda body: json.loads(body)["text"]),
        ("https://ntfy.sh/topic", "text/plain; charset=utf-8", lambda body: body.decode()),
        (
            "https://prod-1.westus.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x",
            "application/json",
            lambda body: json.loads(body)["attachments"][0]["content"]["body"][0]["text"].replace("\n\n", "\n"),
        ),
    ],
    ids=["Discord", "Slack", "ntfy", "Teams"],
)
def test_each_host_is_sent_what_it_reads(monkeypatch, address, kind, text):
    sent = []

    class Answer:
        def close(self) -> None:
            pass

    def take(self, request, timeout):
        sent.append((request.full_url, request.get_header("Content-type"), request.data, timeout))
        return Answer()

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", take)
    assert post_notice(address, "pick succeeded\nüber") == ""
    ((to, content_type, body, seconds),) = sent
    assert (to, content_type, text(body), seconds) == (address, kind, "pick succeeded\nüber", 10.0)


@pytest.mark.parametrize(
    "address", ["", "https://", "http://[", "file:///etc/passwd", "ftp://127.0.0.1/x", "https://a b/"]
)
def test_what_is_no_address_is_told_without_it(address):
    reason = post_notice(address, "text")
    assert reason
    assert not address or address not in reason


def test_long_log_of_events_is_read_quickly(job, tmp_path):
    (tmp_path / "work").mkdir()
    line = format_event(Metrics(step=1, total=9, values={"train/loss": 0.5}))
    (tmp_path / "work" / "events.jsonl").write_text(f"{line}\n" * 200_000)
    began = time.monotonic()
    format_notice(job(), Outcome(state="succeeded", exit_code=0))
    assert time.monotonic() - began < 2
