"""The driver of a laptop: it has patience with the line, and none where only its user can help."""

import pytest
from robotrain.errors import Rejected, make_problem
from robotrain_slurm.remote import driver


class Line:
    """What happens at each try, in turn; each pause between them is noted, and time passes by it."""

    def __init__(self, monkeypatch, *events: object) -> None:
        self.events, self.pauses, self.now = [*events], [], 0.0
        monkeypatch.setattr(driver.time, "time", lambda: self.now)

    def drive(self) -> bool:
        event = self.events.pop(0) if len(self.events) > 1 else self.events[0]
        if isinstance(event, Exception):
            raise event
        return event

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def keep(self) -> str:
        return driver.keep_driving(self.drive, self.sleep)


def reject(code: str) -> Rejected:
    return Rejected([make_problem(code, "it is so", "", "", "")])


@pytest.mark.parametrize(
    "code", ["slurm-login-away", "slurm-login-no-host", "slurm-login-failed", "slurm-login-no-space"]
)
def test_login_node_that_is_out_of_reach_is_tried_again(monkeypatch, code):
    line = Line(monkeypatch, *[reject(code)] * 10, True)
    assert line.keep() == ""
    assert line.pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_end_of_patience_is_the_reason(monkeypatch):
    line = Line(monkeypatch, reject("slurm-login-away"))
    assert line.keep() == "it is so"
    assert driver.PATIENCE_SECONDS < line.now < driver.PATIENCE_SECONDS + 2 * driver.LONGEST_PAUSE


@pytest.mark.parametrize("code", ["slurm-login-denied", "slurm-login-host-changed", "slurm-login-host-unknown"])
def test_what_only_the_user_changes_ends_it_at_once(monkeypatch, code):
    line = Line(monkeypatch, reject("slurm-login-away"), reject(code))
    assert line.keep() == "it is so"
    assert line.pauses == [2]


def test_process_that_still_drives_the_run_is_waited_for(monkeypatch):
    line = Line(monkeypatch, False, False, True)
    assert line.keep() == ""
    assert len(line.pauses) == 2


def test_error_of_the_login_node_is_tried_again(monkeypatch):
    line = Line(monkeypatch, RuntimeError("OSError: stale file handle"), True)
    assert line.keep() == ""
    assert line.pauses == [2]
