"""What platforms with a remote engine share."""

import inspect
import shlex
import threading
from dataclasses import replace

import pytest
from problem_assertions import check_rejected
from robotrain.cluster import engine, reasons
from robotrain.cluster.answers import as_int, as_mapping, as_mappings, as_number, as_text, as_texts, parse_time
from robotrain.cluster.engine import ClusterEngine
from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.health import Check, find_results, report_ok
from robotrain.model.platform import Platform, PlatformEngine, PlatformPlans, format_cancel_command
from robotrain.model.platform_features import (
    PipelinePlans,
    PipelineRuns,
    RunAccess,
    SharedRuns,
    SourceVersions,
    Uploads,
)
from robotrain.plugins.manager import Plugins
from robotrain_runtime.contract.event import Outcome

FEATURES = (PipelinePlans, PipelineRuns, RunAccess, SharedRuns, SourceVersions, Uploads)
PARTS = (PlatformPlans, PlatformEngine, *FEATURES)
REFERENCE = {"run": "lerobot-train-fab69e8c-1", "job": "w-1"}


def test_a_platform_without_extras_has_at_most_25_methods():
    parts = (PlatformPlans, PlatformEngine)
    assert sum(len(inspect.getmembers(part, inspect.isfunction)) - 1 for part in parts) <= 25  # without __init__


@pytest.mark.parametrize("name", ["osmo", "azureml", "local", "slurm"])
def test_each_method_of_an_engine_takes_what_engines_take(name):
    platform = Plugins().platforms()[name]
    for part in (platform.plans, platform.engine):
        for base in PARTS:
            if isinstance(part, base):
                for method, _ in inspect.getmembers(base, inspect.isfunction):
                    taken = [*inspect.signature(getattr(part, method)).parameters]
                    assert taken == [*inspect.signature(getattr(base(platform), method)).parameters], method


@pytest.mark.parametrize(
    ("outcome", "exit_code", "reason"),
    [
        (Outcome(state="failed", exit_code=1, reason="why"), 1, "why"),
        (Outcome(state="failed", exit_code=1, reason="why"), None, "why"),
        (Outcome(state="failed", exit_code=75, reason="why"), 1, ""),
        (Outcome(state="succeeded", exit_code=0, reason="why"), 1, ""),
        (None, 1, ""),
    ],
)
def test_an_outcome_counts_only_for_the_attempt_that_the_engine_reports(outcome, exit_code, reason):
    assert reasons.explain_outcome(outcome, exit_code) == reason


def test_a_message_that_adds_nothing_is_left_out():
    noise = (r"exit code \d+",)
    assert reasons.append_message("it failed", "OSMO", "Exit code 3.", noise) == "it failed"
    assert reasons.append_message("it failed", "OSMO", "Exit code 3: no disk.", noise) == "it failed (OSMO: no disk)"


class CloudEngine(ClusterEngine):
    """A platform whose engine answers what a test says."""

    engine_name = "cloud's queue"
    cancel_seconds = 0.02

    def __init__(self, refusal: str = "", answers: tuple[bool | Rejected, ...] = (), checks: tuple = ()) -> None:
        command = "cloud kill {job}"
        super().__init__(Platform(name="cloud", engine_class=lambda platform: self, cancel_command=command))
        self.refusal, self.answers, self.checks = refusal, iter(answers), checks

    def has_ended(self, reference):
        answer = next(self.answers, False)
        if isinstance(answer, Rejected):
            raise answer
        return answer

    def request_cancel(self, reference):
        return self.refusal

    def describe_reference(self, reference):
        return {"job": "w-1"}

    def list_checks(self, plan):
        if isinstance(self.checks, Rejected):
            raise self.checks
        return [Check(name="cloud", run=run) for run in self.checks]


BUSY = Problem(code="cloud-busy", stage=Stage.SUBMIT, title="cloud's queue is busy")


@pytest.mark.parametrize(("refusal", "code"), [("", "cancel-pending"), ("no", "cancel-refused")])
def test_a_cancelled_run_that_does_not_end_is_reported(monkeypatch, refusal, code):
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    with check_rejected(code):
        CloudEngine(refusal).cancel(REFERENCE)


def test_a_run_of_another_machine_is_ended_there(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    with check_rejected("cancel-pending"):
        CloudEngine().cancel({**REFERENCE, "login": "me@host"})


def test_a_query_that_fails_for_a_moment_does_not_end_the_wait(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(CloudEngine, "cancel_seconds", 5.0)
    CloudEngine(answers=(False, Rejected([BUSY], transient=True), True)).cancel(REFERENCE)


def test_a_run_that_has_ended_is_not_cancelled():
    CloudEngine("it has ended", (True,)).cancel(REFERENCE)


def test_checks_run_side_by_side_and_each_problem_is_reported_once():
    both = threading.Barrier(2, timeout=5)
    other = replace(BUSY, title="cloud's queue is full")

    def check():
        both.wait()
        yield BUSY

    def fail():
        both.wait()
        raise Rejected([other, BUSY])

    assert list(CloudEngine(checks=(check, fail)).preflight(None)) == [BUSY, other]
    assert list(CloudEngine(checks=Rejected([BUSY])).preflight(None)) == [BUSY]


def test_results_of_a_check_are_for_doctor_alone_and_notes_for_a_submit():
    note = replace(BUSY, severity="note", title="cloud's queue is short")

    def check():
        yield report_ok("it answers")
        yield note
        raise Rejected([BUSY])

    assert list(CloudEngine(checks=(check,)).preflight(None)) == [note, BUSY]
    assert [(finding.state, finding.text) for finding in find_results(check)] == [
        ("ok", "it answers"),
        ("fail", BUSY.title),
    ]


def test_values_of_another_type_count_as_absent():
    assert [as_int(value) for value in (3, "-3", 3.0, True, None, "3.5", [])] == [3, -3, 3, None, None, None, None]
    assert [as_number(value) for value in (1, 1.5, True, "1")] == [1.0, 1.5, None, None]
    assert (as_mapping([]), as_mappings([{}, 1]), as_mappings({}), as_text(1)) == ({}, [{}], [], "")
    assert (as_texts(["a", 1]), as_texts("ab"), as_texts(None)) == (("a",), (), ())


@pytest.mark.parametrize("text", ["2026-11-20T06:05:29", "2026-11-20T06:05:29.0000000Z", "2026-11-20 08:05:29+02:00"])
def test_a_time_without_a_zone_is_utc(text):
    assert parse_time(text) == 1795154729.0
    assert parse_time(None) is parse_time("soon") is None


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("cloud kill {job}", "cloud kill w-1"),
        ("cloud kill {name}", "cloud kill 'a b'"),
        ("kill {other}", ""),
        ("", ""),
    ],
)
def test_the_command_that_ends_a_run_is_quoted_and_left_out_where_it_does_not_fit(command, shown):
    platform = Platform(name="cloud", engine_class=CloudEngine, cancel_command=command)
    assert format_cancel_command(platform, REFERENCE | {"name": "a b"}) == shown
    remote = shlex.join(["ssh", "me@host", shown]) if shown else ""
    assert format_cancel_command(platform, REFERENCE | {"name": "a b", "login": "me@host"}) == remote
