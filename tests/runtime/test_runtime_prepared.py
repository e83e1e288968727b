"""Data made of data: once for each key, and shared by runs that use it at the same time."""

import pytest
from robotrain_runtime.holding import Holding
from robotrain_runtime.stop import Stop
from robotrain_runtime.supply import prepared


def fill(folder):
    folder.mkdir()
    (folder / "merged").write_text("both")


def never(*told):
    pytest.fail(f"it was to be found at once: {told}")


def test_what_another_run_uses_is_found_without_waiting_for_that_run(tmp_path):
    place = tmp_path / "prepared/train/key"
    made = prepared.land(place, fill, Stop(), never)
    with Holding(tmp_path) as other:
        assert other.keep(made)
        assert prepared.land(place, never, Stop(), never) == made


def test_what_is_not_whole_is_made_again(tmp_path):
    place = tmp_path / "prepared/train/key"
    made = prepared.land(place, fill, Stop(), never)
    (made / "merged").write_text("bot")
    assert (prepared.land(place, fill, Stop(), never) / "merged").read_text() == "both"
