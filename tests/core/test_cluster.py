"""What platforms with a remote engine share."""

import inspect

import pytest
from robotrain.cluster import cancel, reasons
from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.platform import Platform
from robotrain.plugins.manager import Plugins
from robotrain_runtime.contract.event import Outcome

REFERENCE = {"run": "lerobot-train-fab69e8c-1"}


@pytest.mark.parametrize("name", ["osmo", "azureml", "local"])
def test_each_method_of_a_platform_takes_what_platforms_take(name):
    platform = type(Plugins().platforms()[name]._platform)
    for method, function in inspect.getmembers(Platform, inspect.isfunction):
        own = getattr(platform, method)
        implementation = getattr(own, "implementation", None)
        expected = [*inspect.signature(function).parameters][1:]
        found = [*inspect.signature(implementation() if implementation else own).parameters]
        assert found[0 if implementation else 1 :] == expected, method


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


@pytest.mark.parametrize(
    ("refusal", "code", "fact"), [("", "cancel-pending", "robotrain wait"), ("no", "cancel-refused", "No.")]
)
def test_a_cancelled_run_that_does_not_end_is_reported(monkeypatch, refusal, code, fact):
    monkeypatch.setattr(cancel, "FIRST_PAUSE", 0.01)
    with pytest.raises(Rejected) as raised:
        cancel.require_end(REFERENCE, "w-1", "OSMO", lambda: False, 0.02, refusal=refusal)
    assert (raised.value.problems[0].code, fact.lower() in str(raised.value.problems[0]).lower()) == (code, True)


def test_a_query_that_fails_for_a_moment_does_not_end_the_wait(monkeypatch):
    monkeypatch.setattr(cancel, "FIRST_PAUSE", 0.01)
    answers = iter((True, False))

    def has_ended() -> bool:
        if next(answers):
            problem = Problem(code="osmo-busy", stage=Stage.SUBMIT, title="OSMO is busy")
            raise Rejected([problem], transient=True)
        return True

    cancel.require_end(REFERENCE, "w-1", "OSMO", has_ended, 5.0)
