"""Parsing lines of OSMO's log, and telling new lines from repeated ones."""

import random

import hypothesis.strategies as st
from hypothesis import given, settings
from robotrain_osmo.observe import logs
from robotrain_runtime.contract import event

AT = "2026/11/20 06:05:29"


def test_the_mark_of_osmo_is_taken_off_so_that_events_are_events():
    told = event.format_event(event.Checkpoint(step=400, path="/tmp/robotrain/outputs/checkpoints/000400"), sent_at=1.0)
    assert logs.parse_text(f"{AT} [train] {told}") == told
    assert logs.parse_text(f"{AT} [train retry-12] {told}") == told
    assert event.parse_event(logs.parse_text(f"{AT} [train] {told}"))


def test_what_osmo_itself_says_is_marked_as_such():
    assert logs.parse_text(f"{AT} [train][osmo] Downloading inputs") == "[osmo] Downloading inputs"
    assert logs.parse_text(f"{AT} [train retry-1][osmo] Downloading inputs") == "[osmo] Downloading inputs"


def test_what_a_run_prints_is_left_as_it_is():
    assert logs.parse_text(f"{AT} [train] {AT} [other] said") == f"{AT} [other] said"
    assert logs.parse_text(f"{AT} [train]   indented") == "  indented"
    assert logs.parse_text(f"{AT} [train] ") == ""
    assert logs.parse_text("no time before it") == "no time before it"
    assert logs.parse_text(f"{AT} [train] 100%\r") == "100%"


def make_log(count: int) -> list[str]:
    """Lines with equal times, some of them equal, some continuing the line before."""
    times = [f"2026/11/20 06:00:{index // 3:02}" for index in range(count)]
    return [random.Random(at).choice((f"{at} [train] step", f"{at} [train] {at}", "  goes on")) for at in times]


def merge_streams(streams: list[list[str]]) -> list[str]:
    kept, found = logs.LogDeduplicator(), []
    for stream in streams:
        kept.begin_stream()
        found += [line for line in stream if kept.is_new(line)]
    return found


@given(st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=50)
def test_streams_that_break_off_anywhere_show_each_line_once(breaks):
    log = make_log(60)
    assert merge_streams([*(log[:at] for at in breaks), log]) == log


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 60))
@settings(max_examples=50)
def test_a_beginning_that_osmo_dropped_meanwhile_makes_no_line_come_twice_or_be_missed(seen, dropped, cut):
    log = [f"2026/11/20 06:00:{index // 2:02} [train] step {index}" for index in range(60)]
    begins = min(dropped, seen)
    assert merge_streams([log[:seen], log[begins : begins + cut], log[begins:]]) == log


def test_lines_that_were_lost_between_two_streams_leave_a_gap_and_nothing_twice():
    log = [f"2026/11/20 06:00:{index:02} [train] step {index}" for index in range(30)]
    assert merge_streams([log[:10], log[20:], log[20:]]) == [*log[:10], *log[20:]]


def test_lines_that_are_alike_are_counted_also_where_the_beginning_is_gone():
    first, alike = "2026/11/20 06:00:01 [train] first", "2026/11/20 06:00:02 [train] alike"
    assert merge_streams([[first, alike, alike], [alike, alike, alike]]) == [first, alike, alike, alike]
