"""What a program prints of secrets as it fails, and in names, is hidden before it reaches anything that is kept."""

import builtins
import json
import types
import typing
from collections import abc
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract import redaction
from robotrain_runtime.contract.event import (
    EVENT_NAMES,
    Evaluated,
    EventRecord,
    Metrics,
    Note,
    Outcome,
    format_event,
    parse_event,
)
from robotrain_runtime.process.event_relay import EventRelay

TOKEN = "hf_Zq7Xk2Vw9Rt4Lm8NZq7Xk2Vw9Rt4Lm8N"
PRINTED = f"error: password=Hunter2Word {TOKEN}"
EVENTS = [
    Note(level="error", text=PRINTED),
    Outcome(state="failed", exit_code=1, reason=PRINTED),
    Metrics(values={"loss": 1.0, TOKEN: 2.0}, step=1),
    Evaluated(episodes=1, scores={TOKEN: 1.0}, results="/r", units={TOKEN: PRINTED}, conditions=PRINTED),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_reaches_log_file_and_sinks_without_secrets(tmp_path, capsys, event):
    seen: list[EventRecord] = []
    with EventRelay(tmp_path / "events.jsonl") as relay:
        relay.add_sink(seen.append)
        relay.emit(event)
    for text in (capsys.readouterr().out, (tmp_path / "events.jsonl").read_text(), str(seen)):
        assert "Hunter2Word" not in text
        assert TOKEN not in text
        assert "redacted" in text
    if isinstance(event, Metrics):
        assert seen[0].event.values == {"loss": 1.0, "redacted": 2.0}


def fill(hint: Any) -> Any:
    """Return a value of a type, with a secret in each text of it."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint) or hint:
        case typing.Literal | types.UnionType:
            return arguments[0] if typing.get_origin(hint) is typing.Literal else fill(arguments[0])
        case abc.Mapping:
            return {TOKEN: fill(arguments[1])}
        case builtins.tuple:
            return (fill(arguments[0]),)
        case builtins.str:
            return PRINTED
    return hint(1)


@pytest.mark.parametrize("kind", EVENT_NAMES, ids=lambda kind: kind.__name__)
def test_no_field_of_an_event_keeps_a_secret(kind):
    filled = kind(**{name: fill(hint) for name, hint in typing.get_type_hints(kind).items()})
    shown = redaction.hide_secrets_of_event(filled)
    assert not [text for text in ("Hunter2Word", TOKEN) if text in str(shown)]
    assert parse_event(format_event(shown)).event == shown


def test_a_line_of_the_log_has_no_secret_and_others_are_unchanged(tmp_path, capsys):
    harmless = "tokenizer: google/paligemma-3b-pt-224  max_token: 128  step:1 loss:0.5 https://host.example/a?b=c"
    with EventRelay(tmp_path / "events.jsonl") as relay:
        for line in (PRINTED, harmless):
            relay.write_line(line)
    assert capsys.readouterr().out.splitlines() == ["error: password=<redacted>", harmless]


KEY = ["MIIEpAIBAAKCAQEA" + "Zq7Xk2Vw9Rt4Lm8N" * 3, "Zq7Xk2Vw9Rt4Lm8N" * 4, "aB1c=="]
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("end", [[END], []], ids=["whole", "without its end"])
@pytest.mark.parametrize("prefix", ["", "12:00:01 INFO "])
def test_the_lines_of_a_private_key_are_hidden_and_those_around_it_are_not(prefix, end):
    body, keys = KEY if not prefix else KEY[:2], redaction.KeyBodyHider()
    lines = ("step 1", *(f"{prefix}{line}" for line in (BEGIN, *body, *end)), "step 2: loss 0.5", "saved")
    shown = [keys.hide(line) for line in lines]
    assert not [line for line in body if line in "\n".join(shown)]
    assert {"step 1", "step 2: loss 0.5", "saved"} <= {*shown}


def test_a_run_keeps_no_line_of_a_private_key(run, job):
    printed = ["step 1", BEGIN, *KEY, END, "step 2: loss 0.5", "saved"]
    ran = run(job(f"print({chr(10).join(printed)!r}); raise SystemExit(1)"))
    texts = [path.read_text() for path in Path(ran.work).rglob("*") if path.name in ("outcome.json", "events.jsonl")]
    assert not [line for line in KEY for text in ("\n".join(ran.lines), *texts) if line in text]
    assert {"step 1", "step 2: loss 0.5", "saved"} <= {*ran.lines}


def test_a_key_without_an_end_hides_no_more_than_its_lines() -> None:
    keys = redaction.KeyBodyHider()
    keys.hide(BEGIN)
    assert [keys.hide(KEY[1]) for _ in range(redaction.MAX_KEY_LINES)] == ["<redacted>"] * redaction.MAX_KEY_LINES
    assert keys.hide(KEY[1]) == KEY[1]


def test_a_public_key_is_not_hidden() -> None:
    keys = redaction.KeyBodyHider()
    assert [keys.hide(line) for line in ("-----BEGIN PUBLIC KEY-----", KEY[1])][1] == KEY[1]


def test_the_end_of_a_run_is_kept_without_the_secret_that_its_program_printed(run, job):
    ran = run(job(f"import sys; sys.exit({PRINTED!r})"))
    paths = [path for path in Path(ran.work).rglob("*") if path.name in ("outcome.json", "events.jsonl")]
    assert len(paths) == 2
    for text in ("\n".join(ran.lines), *(path.read_text() for path in paths)):
        assert "Hunter2Word" not in text
        assert TOKEN not in text
    assert json.loads(Path(ran.work, "outcome.json").read_text())["reason"]
