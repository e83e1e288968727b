import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import Runs
from robotrain_local import process_list


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "machine" / "state"))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "machine" / "cache"))
    monkeypatch.syspath_prepend(Path(__file__).with_name("container_plugins"))
    started = Runs(tmp_path / "machine")
    yield started
    for facts in (started.folder / "runs").glob("*/supervisor.json"):
        process_list.send_signal(started.processes({"folder": str(facts.parent)}), signal.SIGKILL)
