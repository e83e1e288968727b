"""The environment that data is fetched in: its lock, and what the payload of a container plugin has to bring."""

import io
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from robotrain.submission.packing import pack_modules
from robotrain_runtime import data_environment
from robotrain_runtime.data_environment import ENVIRONMENT

SOURCES = Path(__file__).parents[2] / "sources"


def test_the_data_environment_is_locked_for_every_machine_and_names_no_host():
    assert ENVIRONMENT.platform == ""
    lock = ENVIRONMENT.lock.read_text()
    assert not re.search(r"https?://|--(?:extra-)?index|--find-links", lock)
    for line in lock.splitlines():
        assert not re.match(r"[a-z]", line) or re.match(r"[\w.-]+==[\w.]+ ", line), line
    for name in ("azure-identity", "azure-storage-blob", "huggingface-hub", "obstore", "stamina"):
        assert re.search(rf"(?m)^{name}==", lock)


def test_the_packages_that_are_required_installed_and_locked_are_the_same():
    names = [re.split(">=", package)[0] for package in data_environment.PACKAGES]
    required = tomllib.loads((SOURCES / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(requirement for requirement in required if requirement.split(">=")[0] in names) == sorted(
        data_environment.PACKAGES
    )
    lock = ENVIRONMENT.lock.read_text()
    for package in map(Requirement, data_environment.PACKAGES):
        locked = re.findall(rf"(?m)^{package.name}==([\w.]+)", lock)
        assert locked
        assert all(package.specifier.contains(version) for version in locked), package


@pytest.mark.parametrize(
    ("version", "is_enough"), [("0.8.0", True), ("0.12", True), ("0.7.9", False), ("1.0.0rc1", False), (None, False)]
)
def test_a_package_of_another_version_has_to_be_installed(monkeypatch, version, is_enough):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert data_environment.has_package("obstore>=0.8,<1") == is_enough


@pytest.mark.parametrize(
    ("plugin", "modules"),
    [
        ("huggingface.fetch", ["transfer.fetch", "transfer.container"]),
        ("blob_url.fetch", ["transfer.fetch", "transfer.container"]),
        ("mlflow.container", ["mlflow.fetch_program"]),
    ],
)
def test_the_payload_of_a_container_plugin_has_all_that_it_imports(plugin, modules, tmp_path):
    plugin = f"robotrain_sources.{plugin}"
    with zipfile.ZipFile(io.BytesIO(pack_modules([plugin]).archive)) as archive:
        archive.extractall(tmp_path / "payload")
    wanted = [plugin, *(f"robotrain_sources.{module}" for module in modules)]
    look = f"import sys, importlib; sys.path.insert(0, {str(tmp_path / 'payload')!r})\n" + "".join(
        f"importlib.import_module({module!r})\n" for module in wanted
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", look], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_data_environment_has_what_the_container_plugins_import(data_python):
    wanted = "import azure.identity, azure.storage.blob, huggingface_hub, obstore, stamina"
    subprocess.run([data_python, "-c", wanted], check=True)
