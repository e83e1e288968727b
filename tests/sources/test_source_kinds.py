"""The kinds as a family: what is claimed is what is there, and what a container imports, it has."""

import importlib
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest
import robotrain_runtime
import robotrain_sources
import tomllib
from robotrain.model.source import SourceKind
from robotrain.plugins import hookspecs

SOURCES = Path(robotrain_sources.__file__).parent
CLAIMS: dict[str, str] = tomllib.loads((SOURCES.parent / "pyproject.toml").read_text())["project"]["entry-points"][
    "robotrain"
]
TYPED = ("blob_url.reference", "huggingface.reference", "local_path.folder_content", "mlflow.reference")
"""Modules beside the container plugins, which the kit imports likewise."""


def kinds() -> dict[str, SourceKind]:
    manager = pluggy.PluginManager("robotrain")
    manager.add_hookspecs(hookspecs)
    for module in dict.fromkeys(CLAIMS.values()):
        manager.register(importlib.import_module(module))
    manager.check_pending()
    return {kind.name: kind for group in manager.hook.robotrain_source_kinds() for kind in group}


KINDS = kinds()


def test_the_kinds_claimed_are_the_kinds_there_are() -> None:
    assert {f"source.{name}" for name in KINDS} == set(CLAIMS)
    for claim, module in CLAIMS.items():
        brought = importlib.import_module(module).robotrain_source_kinds()
        assert claim in {f"source.{kind.name}" for kind in brought}


def flags(role: str) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...], bool]]:
    declared = {name: kind.roles[role] for name, kind in KINDS.items() if role in kind.roles}
    return {name: (flag.flag, flag.aliases, flag.env, flag.repeatable) for name, flag in declared.items()}


INIT_FLAG = ("--init-from-policy-model", (), ("INIT_FROM_POLICY_MODEL",), False)
FLAGS = {
    "dataset": {
        "huggingface": ("--dataset-repo-id", ("-d", "--dataset"), ("DATASET_REPO_ID",), True),
        "blob_url": ("--blob-url", (), ("BLOB_URLS",), True),
        "data_asset": ("--dataset-asset", (), ("DATASET_ASSETS",), True),
        **dict.fromkeys(("local_path", "remote_path"), ("--dataset-path", (), (), True)),
    },
    "policy": {
        "huggingface": ("--policy-repo-id", (), ("POLICY_REPO_ID",), False),
        "blob_url": ("--policy-url", (), (), False),
        **dict.fromkeys(("local_path", "remote_path"), ("--policy-path", (), (), False)),
        **dict.fromkeys(("registered_model", "model_asset", "mlflow_run"), ("--policy-model", (), (), False)),
        "run": ("--policy-run", (), (), False),
    },
    "init_policy": dict.fromkeys(("blob_url", "registered_model", "model_asset"), INIT_FLAG),
}


@pytest.mark.parametrize("role", FLAGS)
def test_the_flags_of_a_role_are_those_of_the_contract(role: str) -> None:
    assert flags(role) == FLAGS[role]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://acc.blob.core.windows.net/box/p", {"blob_url"}),
        ("HTTPS://acc.BLOB.core.windows.net/box/p?sig=x", {"blob_url"}),
        ("acc.blob.core.windows.net/box/p", {"blob_url"}),
        ("//acc.blob.core.windows.net/box/p", {"blob_url"}),
        ("https://acc.dfs.core.windows.net/box/p", {"blob_url"}),
        ("https://acc.blob.core.usgovcloudapi.net/c/p", {"blob_url"}),
        ("https://u:p@acc.blob.core.windows.net/box/p", {"blob_url"}),
        ("abfss://c@acc.dfs.core.windows.net/pox", {"blob_url"}),
        ("wasbs://c@acc.blob.core.windows.net/pox", {"blob_url"}),
        ("azureml:a:1", {"data_asset", "model_asset"}),
        ("AZUREML://datastores/x/paths/y", {"data_asset", "model_asset"}),
        ("models:/act/3", {"registered_model"}),
        ("MODELS:/act@champion", {"registered_model"}),
        ("act:3", {"registered_model"}),
        ("act:latest", {"registered_model"}),
        ("models:/act", {"registered_model"}),
        ("pusht-act@champion", {"registered_model"}),
        ("runs:/0123/model", {"mlflow_run"}),
        ("RUNS:/0123/model", {"mlflow_run"}),
        ("mlflow-artifacts:/1/0123/artifacts/model", {"mlflow_run"}),
        ("lerobot-train-1a2b3c4d-1", {"run"}),
        ("lerobot-train-1a2b3c4d-12@400", {"run"}),
        ("hf://u/d", {"huggingface"}),
        ("https://huggingface.co/datasets/u/d", {"huggingface", "https_file"}),
        ("u/d", {"huggingface"}),
        ("u/d@feature/x", {"huggingface"}),
        ("/data/x", {"local_path"}),
        ("./x", {"local_path"}),
        ("../x", {"local_path"}),
        ("~/x", {"local_path"}),
        ("file:///x", {"local_path"}),
        ("me@login.lab.example:/x", {"remote_path"}),
        ("cluster:~/x", {"remote_path"}),
        ("https://example.com/x", {"https_file"}),
        ("git+https://example.com/x@main", {"git"}),
        ("git@example.com:x/y.git", {"git"}),
        ("ssh://git@example.com/x/y", {"git"}),
        ("pusht", set()),
        ("", set()),
    ],
)
def test_a_text_is_recognised_by_the_kind_it_is_meant_for(text: str, meant: set[str]) -> None:
    recognised = {name for name, kind in KINDS.items() if kind.recognizes(text)}
    assert recognised - ({"huggingface"} if text.startswith("acc.") else set()) == meant


def test_only_kinds_that_act_in_the_container_have_a_container_plugin() -> None:
    assert {name: kind.container_plugin for name, kind in KINDS.items() if kind.container_plugin} == {
        **{
            name: f"robotrain_sources.{name}.fetch" for name in ("blob_url", "https_file", "huggingface", "torchvision")
        },
        "local_path": "robotrain_sources.local_path.container",
    } | dict.fromkeys(("registered_model", "mlflow_run"), "robotrain_sources.mlflow.container")


@pytest.mark.parametrize("module", TYPED)
def test_what_the_container_imports_needs_the_standard_library_alone(module: str, tmp_path: Path) -> None:
    """As in the container: one folder with the runtime and the kinds, and no site-packages."""
    for package in (robotrain_runtime, robotrain_sources):
        folder = Path(str(package.__file__)).parent
        (tmp_path / folder.name).symlink_to(folder)
    name = f"robotrain_sources.{module}"
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {name}\n"
        "ours = {'robotrain_runtime', 'robotrain_sources'}\n"
        "used = {name.partition('.')[0] for name, module in sys.modules.items() if getattr(module, '__file__', None)}\n"
        "print(*sorted(used - ours - sys.stdlib_module_names))"
    )
    completed = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == ""


@pytest.mark.parametrize("folder", sorted(path for path in SOURCES.iterdir() if (path / "kind.py").is_file()))
def test_a_package_that_is_packed_does_nothing_when_imported(folder: Path) -> None:
    (line,) = (folder / "__init__.py").read_text().splitlines()
    assert line.startswith('"""')
    assert line.endswith('"""')


def test_kinds_whose_content_may_change_are_pinned() -> None:
    pinned = {name for name, kind in KINDS.items() if kind.pinning}
    assert pinned == {"blob_url", "huggingface", "local_path", "torchvision"}
