"""A job of it, run on this machine to its end."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest
from robotrain_runtime import event

from robotrain import store
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.testing import command_line
from robotrain.testing.workload.base import OfWorkload
from robotrain.workload import Makes, Workload

LEFT: Mapping[Makes, str] = {"checkpoints": "checkpoint", "results": "evaluated"}
"""The event by which a run tells what it leaves."""


class Running(OfWorkload):
    """runs: a fixture with the words of a small and complete job. tells: the events that such a run must tell."""

    yours: ClassVar[tuple[str, ...]] = ("runs", "tells")
    tells: ClassVar[Sequence[str]] = ("metrics",)

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """The words of a job that really runs; yours to define."""
        pytest.skip("there is no fixture `runs`: nothing is run")

    def test_it_runs_to_its_end_and_tells_how_it_goes(self, declared: Workload, runs: Sequence[str]) -> None:
        """What was rendered does the work: the run succeeds, tells its progress in events that all can read, and leaves
        what `makes` says.
        """
        here = [one for one in Plugins().platforms().values() if one.capabilities.feature("runs_here")]
        if not here:
            pytest.skip("no installed platform runs jobs on this machine")
        answer = command_line.run("submit", "--platform", here[0].name, "--wait", "--json", self.workload, *runs)
        assert answer.exit_code == 0, str(answer)
        told = _told(here[0], answer.json["run"])
        assert not {*self.tells} - told, f"it told only: {', '.join(sorted(told))}"
        for makes, one in LEFT.items():
            said = f"its `makes` is {declared.makes!r}, and it told {'an' if one in told else 'no'} event `{one}`"
            assert (one in told) == (declared.makes == makes), said


def _told(platform: Platform, run: str) -> set[str]:
    """The events that are in the log of a run, by their names."""
    log = platform.logs(store.sent(store.find(run)).reference, False)
    records = [record for line in log if (record := event.read(line))]
    return {type(record.event).__name__.lower() for record in records}
