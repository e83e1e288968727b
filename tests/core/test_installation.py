"""What to type to add a package: in the way that this robotrain was installed."""

import shlex
import sys
from pathlib import Path

import pytest
from robotrain.installation import format_install_command
from robotrain.plugins.failures import PluginNotInstalled

RECEIPT = """
[tool]
requirements = [
    { name = "robotrain", extras = ["azureml"], specifier = ">=0.1" },
    { name = "robotrain-plain", specifier = ">=2" },
]
"""
MADE = {
    "uv tool": {"uv-receipt.toml": RECEIPT, "pyvenv.cfg": "uv = 0.13.8\n"},
    "pipx": {"pipx_metadata.json": "{}", "pyvenv.cfg": "home = /usr/bin\n"},
    "uv venv": {"pyvenv.cfg": "home = /usr/bin\nuv = 0.13.8\n"},
    "venv": {"pyvenv.cfg": "home = /usr/bin\n"},
}
COMMANDS = {
    "uv tool": "uv tool install 'robotrain[azureml,osmo]' --with 'robotrain-plain>=2'",
    "pipx": "pipx inject robotrain 'robotrain[osmo]'",
    "uv venv": "uv pip install 'robotrain[osmo]'",
    "venv": "pip install 'robotrain[osmo]'",
}


@pytest.fixture(params=MADE)
def environment_kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An active environment, made in one of the ways."""
    for name, content in MADE[request.param].items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    return str(request.param)


def test_an_extra_is_installed_in_the_way_robotrain_was(environment_kind):
    assert format_install_command("robotrain[osmo]") == COMMANDS[environment_kind]


def test_another_package_keeps_what_is_there(environment_kind):
    words = format_install_command("rover-sdk").replace("inject robotrain ", "inject ")
    assert words.endswith(" rover-sdk")
    assert ("robotrain[azureml]" in words) == (environment_kind == "uv tool")


SOURCES = """
[tool]
requirements = [
    { name = "robotrain", extras = ["azureml"], path = "/dist/robotrain 0.1-py3-none-any.whl" },
    { name = "robotrain-plain", git = "https://git.example/plain?rev=v1&subdirectory=plugin" },
    { name = "robotrain-extra", git = "https://git.example/extra" },
    { name = "robotrain-fake", directory = "/src/fake" },
    { name = "robotrain-dag", extras = ["fast"], editable = "/src/dag" },
    { name = "robotrain-scripted", url = "https://files.example/scripted-1.0-py3-none-any.whl" },
]
"""
"""As uv 0.13 writes it."""


def test_packages_come_from_where_they_came_from(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "uv-receipt.toml").write_text(SOURCES)
    assert shlex.split(format_install_command("robotrain[osmo]", "rover-sdk")) == [
        *("uv", "tool", "install", "robotrain[azureml,osmo] @ file:///dist/robotrain%200.1-py3-none-any.whl"),
        *("--with", "robotrain-plain @ git+https://git.example/plain@v1#subdirectory=plugin"),
        *("--with", "robotrain-extra @ git+https://git.example/extra"),
        *("--with", "robotrain-fake @ file:///src/fake"),
        *("--with-editable", "/src/dag[fast]"),
        *("--with", "robotrain-scripted @ https://files.example/scripted-1.0-py3-none-any.whl"),
        *("--with", "rover-sdk"),
    ]
    editable = '[tool]\nrequirements = [{ name = "robotrain", editable = "/src/robotrain" }]\n'
    (tmp_path / "uv-receipt.toml").write_text(editable)
    assert format_install_command("robotrain[osmo]") == "uv tool install --editable '/src/robotrain[osmo]'"


@pytest.mark.parametrize("environment_kind", ["uv venv", "venv"], indirect=True)
def test_an_environment_that_is_not_active_is_named(environment_kind, tmp_path, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV")
    where = f"--python {tmp_path}" if environment_kind == "uv venv" else f"{sys.executable} -m pip install"
    assert where in format_install_command("rover-sdk")


def test_uvx_keeps_nothing_so_the_whole_line_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "archive-v0/abc"))
    assert format_install_command("robotrain[osmo]") == "uvx --from 'robotrain[osmo]' robotrain …"


def test_a_platform_that_an_extra_brings_is_told_with_the_command():
    (problem,) = PluginNotInstalled("platform", "osmo", ["local"], ()).problems
    assert "install 'robotrain[osmo]'" in problem.suggestions[0].text
    (problem,) = PluginNotInstalled("platform", "cloud", ["local"], ()).problems
    assert "cloud" not in problem.suggestions[0].text
    assert format_install_command("PACKAGE") in [way.text for way in problem.suggestions]
    (problem,) = PluginNotInstalled("platform", "azurml", ["local"], ()).problems
    assert "install 'robotrain[azureml]'" in problem.suggestions[0].text
