"""Parsing lines of OSMO's log, and telling new lines from repeated ones."""

import random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from robotrain_osmo.observe import log_lines, logs
from robotrain_runtime.contract import event

AT = "2026/11/20 06:05:29"


EVENT = event.format_event(event.Checkpoint(step=400, path="/tmp/robotrain/outputs/checkpoints/000400"), sent_at=1.0)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (f"{AT} [train] {EVENT}", EVENT),
        (f"{AT} [train retry-12] {EVENT}", EVENT),
        (f"{AT} [train][osmo] Downloading inputs", "[osmo] Downloading inputs"),
        (f"{AT} [train retry-1][osmo] Downloading inputs", "[osmo] Downloading inputs"),
        (f"{AT} [train] {AT} [other] said", f"{AT} [other] said"),
        (f"{AT} [train]   indented", "  indented"),
        (f"{AT} [train] ", ""),
        ("no time before it", "no time before it"),
        (f"{AT} [train] 100%\r", "100%"),
    ],
)
def test_text_of_a_line_is_what_was_printed(raw, text):
    assert log_lines.parse_text(raw) == text


def make_log(count: int) -> list[str]:
    """Lines with equal times, some of them equal, some continuing the line before."""
    times = [f"2026/11/20 06:00:{index // 3:02}" for index in range(count)]
    return [random.Random(at).choice((f"{at} [train] step", f"{at} [train] {at}", "  goes on")) for at in times]


def merge_streams(streams: list[list[str]]) -> list[str]:
    seen_lines, lines = logs.SeenLines(), []
    for stream in streams:
        seen_lines.begin_stream()
        lines += [line for line in stream if seen_lines.is_new(line)]
    return lines


@given(st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=50)
def test_broken_streams_show_each_line_once(breaks):
    log = make_log(60)
    assert merge_streams([*(log[:at] for at in breaks), log]) == log


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 60))
@settings(max_examples=50)
def test_dropped_beginning_repeats_and_loses_no_line(seen, dropped, cut):
    log = [f"2026/11/20 06:00:{index // 2:02} [train] step {index}" for index in range(60)]
    begins = min(dropped, seen)
    assert merge_streams([log[:seen], log[begins : begins + cut], log[begins:]]) == log


def test_lost_lines_leave_a_gap():
    log = [f"2026/11/20 06:00:{index:02} [train] step {index}" for index in range(30)]
    assert merge_streams([log[:10], log[20:], log[20:]]) == [*log[:10], *log[20:]]


def test_equal_lines_are_counted_after_a_dropped_beginning():
    first, alike = "2026/11/20 06:00:01 [train] first", "2026/11/20 06:00:02 [train] alike"
    assert merge_streams([[first, alike, alike], [alike, alike, alike]]) == [first, alike, alike, alike]


def test_lines_that_are_older_than_the_remembered_ones_are_not_new(monkeypatch):
    monkeypatch.setattr(logs, "MAX_LOG_LINES", 10)
    log = [f"2026/11/20 06:00:{index:02} [train] step {index}" for index in range(30)]
    assert merge_streams([log[:20], log]) == log
