"""A folder that is replaced in one step, although another process makes it meanwhile."""

import os

from robotrain_runtime.contract import files


def test_folder_that_appeared_meanwhile_is_replaced(tmp_path, monkeypatch):
    place = tmp_path / "checkpoints"
    place.mkdir()
    target, rename, raced = place / "000010", os.rename, []

    def rename_late(source, to):
        if to == target and not raced:
            raced.append(to)
            target.mkdir()
            (target / "old").touch()
        rename(source, to)

    monkeypatch.setattr(files.os, "rename", rename_late)
    with files.make_atomically(target, replace=True) as scratch:
        scratch.mkdir()
        (scratch / "new").touch()
    assert raced
    assert os.listdir(target) == ["new"]
    assert os.listdir(place) == ["000010"]
