"""A program that writes where nothing is kept: the place is named, with the option that keeps it."""

import os
from pathlib import Path

import pytest
from robotrain_workloads.command.outside_outputs import OutsideOutputs, OutsidePath

DEFAULT = "import argparse\nargparse.ArgumentParser().add_argument('--save-to', default='{place}')\n"


@pytest.mark.parametrize(
    ("text", "words", "option"),
    [
        ("import os\nos.makedirs('{place}')\n", [], ""),
        (DEFAULT, [], "--save-to"),
        ("", ["--save-to", "{place}"], "--save-to"),
        ("", ["--save-to={place}"], "--save-to"),
        ("", ["-o", "{place}"], "-o"),
        ("# {place}\n", [], None),
    ],
)
def test_the_place_that_a_program_wrote_to_is_found(tmp_path: Path, text, words, option):
    place, work = tmp_path / "elsewhere/ckpt", tmp_path / "work"
    work.mkdir()
    (work / "train.py").write_text(text.format(place=place))
    arguments = ["python", "train.py", *(word.format(place=place) for word in words)]
    outside = OutsideOutputs(arguments, str(work), str(work))
    assert outside.find() is None
    place.mkdir(parents=True)
    (place / "model.pt").write_text("x")
    expected = None if option is None else OutsidePath(str(place), option)
    assert outside.find() == expected


def test_what_was_there_before_and_what_the_run_has_does_not_count(tmp_path: Path):
    old, work = tmp_path / "data", tmp_path / "work"
    for folder in (old, work):
        folder.mkdir()
        (folder / "a.bin").write_text("x")
    os.utime(old / "a.bin", (1, 1))
    arguments = ["python", "train.py", "--data", str(old), "--out", str(work)]
    assert OutsideOutputs(arguments, str(work), str(work)).find() is None
