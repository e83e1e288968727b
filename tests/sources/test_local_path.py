"""Local folders: one normal form for each, and a container half that says what is wrong with one."""

import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import container

HERE = Path("/work/jobs")


def _source(path: Path) -> JobSource:
    return JobSource(role="dataset", kind="local_path", uri=str(path))


def test_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    assert list(container.preflight(_source(tmp_path), ContainerContext(cache=tmp_path / "cache"))) == []
    assert container.fetch(_source(tmp_path), ContainerContext(cache=tmp_path / "cache")) == tmp_path
    assert not (tmp_path / "cache").exists()


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    (sentence,) = container.preflight(_source(tmp_path / "gone"), ContainerContext(cache=tmp_path))
    assert sentence == f"The folder {tmp_path / 'gone'} does not exist on this machine."
    with pytest.raises(OSError, match="does not exist"):
        container.fetch(_source(tmp_path / "gone"), ContainerContext(cache=tmp_path))


def test_an_unreadable_folder_is_one_sentence(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o300)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from robotrain_runtime.contract.document import JobSource\n"
        "from robotrain_runtime.contract.container_plugin import ContainerContext\n"
        "from robotrain_sources.local_path import container\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "source = JobSource(role='dataset', kind='local_path', uri=sys.argv[1])\n"
        "print(*container.preflight(source, ContainerContext(cache=Path())))"
    )
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if "pytest-of-" in str(parent))):
        folder.chmod(0o755)
    asked = subprocess.run([sys.executable, "-c", code, str(shut)], capture_output=True, text=True, check=True)
    shut.chmod(0o700)
    assert asked.stdout == f"The folder {shut} cannot be read by the user that runs the job.\n"
