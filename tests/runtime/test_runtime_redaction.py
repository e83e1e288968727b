"""What a program prints of secrets as it fails, and in names, is hidden before it reaches anything that is kept."""

import json
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Evaluated, EventRecord, Metrics, Note, Outcome
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


def test_a_line_of_the_log_has_no_secret_and_others_are_unchanged(tmp_path, capsys):
    harmless = "tokenizer: google/paligemma-3b-pt-224  max_token: 128  step:1 loss:0.5 https://host.example/a?b=c"
    with EventRelay(tmp_path / "events.jsonl") as relay:
        for line in (PRINTED, harmless):
            relay.write_line(line)
    assert capsys.readouterr().out.splitlines() == ["error: password=<redacted>", harmless]


def test_the_end_of_a_run_is_kept_without_the_secret_that_its_program_printed(run, job):
    ran = run(job(f"import sys; sys.exit({PRINTED!r})"))
    kept = [path for path in Path(ran.work).rglob("*") if path.name in ("outcome.json", "events.jsonl")]
    assert len(kept) == 2
    for text in ("\n".join(ran.lines), *(path.read_text() for path in kept)):
        assert "Hunter2Word" not in text
        assert TOKEN not in text
    assert json.loads(Path(ran.work, "outcome.json").read_text())["reason"]
