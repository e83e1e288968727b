"""Every distribution builds, installs alone in a fresh environment, and imports only what it declares."""

import subprocess
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[1]
FOLDERS = [
    ROOT,
    *(path.parent for path in sorted(ROOT.glob("*/pyproject.toml")) + sorted(ROOT.glob("plugins/*/pyproject.toml"))),
]
NAMES = {folder: tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] for folder in FOLDERS}

IMPORT_EVERYTHING = """
import importlib, importlib.metadata, pkgutil, sys
late = {"mlflow", "psutil", "pynvml", "torch", "lerobot", "pandas", "pyarrow", "accelerate"}  # of the training
late |= {"torchvision", "safetensors", "simplejpeg", "PIL", "av"}  # and of the extra `rosbag`
late |= {"pytest", "hypothesis"}  # of the extra `testing`
for file in importlib.metadata.files(sys.argv[1]):
    if file.suffix == ".py" and file.name != "__main__.py" and "examples" not in file.parts:
        name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name.split(".")[0] not in late:
                raise
"""


def uv(*args: object) -> str:
    import os

    command = [os.environ.get("UV", "uv"), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--quiet", "--all-packages", "--wheel", "--out-dir", folder, ROOT)
    return folder


def test_there_is_one_distribution_for_each_part():
    assert set(NAMES.values()) == {
        "robotrain",
        "robotrain-azure",
        "robotrain-core",
        "robotrain-local",
        "robotrain-osmo",
        "robotrain-azureml",
        "robotrain-runtime",
        "robotrain-slurm",
        "robotrain-sources",
        "robotrain-workloads",
    }


def test_each_is_under_the_licence_of_the_repository():
    """A wheel takes the file that lies beside its pyproject.toml, and a link that git lost is a line of text."""
    licence = (ROOT / "LICENSE").read_text()
    assert [folder.name for folder in FOLDERS if (folder / "LICENSE").read_text() != licence] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_can_be_found_by_topic_and_python(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    oldest = int(project["requires-python"].removeprefix(">=3."))
    versions = {f"Programming Language :: Python :: 3.{minor}" for minor in range(oldest, 14)}
    assert "robot learning" in project["keywords"]
    assert versions == {name for name in project["classifiers"] if name.startswith("Programming Language")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES.values())
def test_a_wheel_installs_alone_and_imports(name, wheels, tmp_path):
    uv("venv", "--quiet", tmp_path / "env")
    python = tmp_path / "env/bin/python"
    uv("pip", "install", "--quiet", "--python", python, "--find-links", wheels, f"{name}==0.1.0")
    subprocess.run([python, "-c", IMPORT_EVERYTHING, name], check=True, cwd=tmp_path)


@pytest.mark.slow
def test_the_meta_distribution_brings_the_whole_way(wheels, tmp_path, pusht):
    uv("venv", "--quiet", tmp_path / "env")
    uv("pip", "install", "--quiet", "--python", tmp_path / "env/bin/python", "--find-links", wheels, "robotrain==0.1.0")
    command = [tmp_path / "env/bin/robotrain", "render", pusht.parent / "job.yaml", "--platform", "local", "--json"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    for words in ("init --example pusht-mini", "render pusht-mini/job.yaml --platform local"):
        subprocess.run([command[0], *words.split()], check=True, cwd=tmp_path, capture_output=True)


def test_the_versions_known_to_work_name_no_package_host():
    for lock in [
        ROOT / "constraints.txt",
        *ROOT.glob("workloads/**/*.txt"),
        *ROOT.glob("sources/**/*.txt"),
        *ROOT.glob("examples/plugins/*/*/locks/*.txt"),
    ]:
        text = lock.read_text()
        assert "==" in text
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
