"""The environment that data is fetched in: its lock, and what the payload of a container plugin has to bring."""

import io
import re
import subprocess
import sys
import zipfile

import pytest
from robotrain.submission.packing import pack_modules
from robotrain_runtime.data_environment import ENVIRONMENT


def test_the_data_environment_is_locked_for_every_machine_and_names_no_host():
    assert ENVIRONMENT.platform == ""
    lock = ENVIRONMENT.lock.read_text()
    assert not re.search(r"https?://|--(?:extra-)?index|--find-links", lock)
    for line in lock.splitlines():
        assert not re.match(r"[a-z]", line) or re.match(r"[\w.-]+==[\w.]+ ", line), line
    for name in ("azure-identity", "azure-storage-blob", "huggingface-hub", "obstore", "stamina"):
        assert re.search(rf"(?m)^{name}==", lock)


@pytest.mark.parametrize(
    ("plugin", "modules"),
    [
        ("huggingface.fetch", ["transfer.scheduler", "transfer.container"]),
        ("blob_url.fetch", ["transfer.scheduler", "transfer.container"]),
        ("mlflow.container", ["mlflow.model_fetch", "mlflow.run_fetch"]),
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
