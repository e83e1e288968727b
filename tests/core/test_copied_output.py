"""A copied output has what the run left, and nothing of the machine that links of it lead to."""

import os
from pathlib import Path

import pytest
from robotrain.errors import Rejected
from robotrain.model.run import Output
from robotrain.run_folder.remote_folder import RemoteRunFolders
from robotrain.run_folder.run_folders import RunFolders
from robotrain.run_folder.transport import Transport

LINKS = {
    "last": ("000200", True),
    "deep/down/up": ("../../000200/weights", True),
    "absolute": ("{top}/000200/weights", True),
    "shadow": ("/etc/passwd", False),
    "parent": ("../log.txt", False),
    "nothing": ("000400", False),
    "shallow": ("000200", True),
    "deep/through": ("../deep/down/to-top/../../log.txt", False),
    "deep/down/to-top": ("../../000200", True),
}
"""Each with its target, and whether the copy has it."""


@pytest.fixture(params=[RunFolders(), RemoteRunFolders(Transport())])
def folders(request) -> RunFolders:
    """The run folders of this machine, or of another one."""
    return request.param


@pytest.fixture
def run(tmp_path) -> Path:
    """A run folder with an output of files and links."""
    top = tmp_path / "run/outputs"
    for folder in ("000200", "deep/down"):
        (top / folder).mkdir(parents=True)
    (tmp_path / "run/log.txt").write_text("log")
    (top / "000200/weights").write_text("trained")
    for name, (target, _) in LINKS.items():
        (top / name).symlink_to(target.format(top=top))
    os.mkfifo(top / "pipe")
    return tmp_path / "run"


def make_output(path: Path) -> Output:
    return Output(name=path.name, kind="file", source="local_path", uri=str(path))


def test_a_link_is_kept_where_it_leads_to_a_part_of_the_copy_and_the_others_are_named(folders, run, tmp_path):
    left_out = folders.download(make_output(run / "outputs"), tmp_path / "copy", run)
    assert {*left_out} - {"pipe"} == {name for name, (_, is_kept) in LINKS.items() if not is_kept}
    for name, (_, is_kept) in LINKS.items():
        assert (tmp_path / "copy" / name).is_symlink() == is_kept
    assert (tmp_path / "copy/last/weights").read_text() == "trained"
    assert (tmp_path / "copy/absolute").read_text() == "trained"
    assert not (tmp_path / "copy/pipe").exists()


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", ".."])
def test_an_output_that_is_a_link_out_of_the_run_is_refused(folders, run, tmp_path, target):
    (run / "stolen").symlink_to(target)
    with pytest.raises(Rejected, match="out of the run"):
        folders.download(make_output(run / "stolen"), tmp_path / "copy", run)
    assert not (tmp_path / "copy").exists()
