"""The arrows of design.md section 2, read from the imports of every module."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "robotrain_runtime": ROOT / "runtime/robotrain_runtime",
    "robotrain": ROOT / "core/robotrain",
    "robotrain_sources": ROOT / "sources/robotrain_sources",
    "robotrain_workloads": ROOT / "workloads/robotrain_workloads",
    "robotrain_local": ROOT / "plugins/local/robotrain_local",
    "robotrain_azure": ROOT / "plugins/azure/robotrain_azure",
    "robotrain_osmo": ROOT / "plugins/osmo/robotrain_osmo",
    "robotrain_azureml": ROOT / "plugins/azureml/robotrain_azureml",
}
CONTRACT = {
    f"robotrain_runtime.{name}" for name in ("document", "event", "parameter", "checkpoint", "cached", "disk_use")
}
CONTAINER_SIDE = {f"robotrain_runtime.{name}" for name in ("half", "emit")}
# A workload says whether this machine could run it: with the very code that its run asks before it starts.
LOOKING = {f"robotrain_runtime.{name}" for name in ("environments", "finding")}
# What fetches and what publishes, in the container: the doors that a stranger's half has too.
MOVING = {
    f"robotrain_runtime.{name}" for name in ("half", "failure", "faults", "oom", "target", "assistant", "courier")
}
FROM_AFAR = {
    f"robotrain_runtime.{name}"
    for name in ("stop", "finding", "failure", "preflight", "supply", "half", "halves", "environments")
}
ABOUT_RUNTIME = {
    # what a look found, as people are told; and who took a run that lies in a folder
    "robotrain": CONTRACT | {"robotrain_runtime.contract.failure", "robotrain_runtime.__main__"},
    # Artifacts of tracking runs are fetched from where the run itself is tracked.
    "robotrain_sources": CONTRACT
    | MOVING
    | {f"robotrain_runtime.{name}" for name in ("track", "surroundings", "parentage")},
    "robotrain_workloads": CONTRACT
    | CONTAINER_SIDE
    | LOOKING
    | {f"robotrain_runtime.{name}" for name in ("target", "later", "surroundings", "model_digest", "parentage")},
    # The runtime runs beside the plugin here, so it may ask what the container would: is all there, why did it end.
    "robotrain_local": CONTRACT | {f"robotrain_runtime.{name}" for name in ("stop", "finding", "preflight", "reason")},
    # What it asks of this machine is what the runtime asks there; and it brings what a run published from afar.
    # And it registers what a job that ended left, as the job itself would have.
    "robotrain_azure": CONTRACT | FROM_AFAR | {"robotrain_runtime.publish"},
    "robotrain_osmo": CONTRACT | FROM_AFAR,
    "robotrain_azureml": CONTRACT | FROM_AFAR | {"robotrain_runtime.publish"},
}
DECLARED = {
    "robotrain_runtime": set(),
    "robotrain": {"robotrain_runtime", "typer", "pydantic", "pluggy", "yaml", "dotenv", "platformdirs"},
    "robotrain_sources": {"robotrain", "robotrain_runtime", "huggingface_hub"},
    "robotrain_workloads": {"robotrain", "robotrain_runtime"},
    "robotrain_local": {"robotrain", "robotrain_runtime"},
    "robotrain_azure": {"robotrain", "robotrain_runtime", "robotrain_sources", "azure"},
    "robotrain_osmo": {"robotrain", "robotrain_runtime", "robotrain_sources", "robotrain_azure", "yaml"},
    "robotrain_azureml": {"robotrain", "robotrain_runtime", "robotrain_sources", "robotrain_azure", "yaml", "azure"},
}
KITS = ROOT / "core/robotrain/testing"
BESIDE_KITS = {"pytest", "hypothesis"}
"""What the extra `testing` brings; kits also act as a machine that runs a job would."""
IN_THE_TRAINING_ENVIRONMENT = {
    "robotrain_runtime": {"mlflow", "psutil", "pynvml"},
    "robotrain_workloads": {"lerobot", "torch", "pyarrow", "accelerate"},
}
"""What a half may import once it runs in the environment it was locked for, never on the submit side."""


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            yield package, path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield str(node.module)


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*each, id=str(each[1].relative_to(ROOT))) for each in modules()]
)
def test_a_module_imports_only_what_its_distribution_declares(package, path):
    allowed = (
        {package} | DECLARED[package] | IN_THE_TRAINING_ENVIRONMENT.get(package, set()) | set(sys.stdlib_module_names)
    )
    allowed |= BESIDE_KITS if path.is_relative_to(KITS) else set()
    strange = {name for name in imported(path) if name.split(".")[0] not in allowed}
    assert not strange


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*each, id=str(each[1].relative_to(ROOT))) for each in modules()]
)
def test_of_the_runtime_only_the_contract_is_used(package, path):
    if package not in ABOUT_RUNTIME:
        return
    used = {".".join(name.split(".")[:2]) for name in imported(path) if name.startswith("robotrain_runtime.")}
    assert used <= ABOUT_RUNTIME[package] | (CONTAINER_SIDE | MOVING if path.is_relative_to(KITS) else set())


def test_only_tests_load_the_kits():
    """They stand on what only the extra `testing` brings."""
    loading = [
        path for _, path in modules() if not path.is_relative_to(KITS) and "robotrain.testing" in {*imported(path)}
    ]
    assert not loading


@pytest.mark.parametrize("path", sorted(FOLDERS["robotrain"].rglob("*")), ids=lambda path: path.name)
def test_core_names_no_platform(path):
    if path.suffix != ".py":
        return
    text = path.read_text(encoding="utf-8").lower()
    assert not [name for name in ("osmo", "azureml", "azure ml", "robotrain_local", "--platform local") if name in text]


def test_versions_move_in_lock_step():
    import tomllib
    from robotrain import __version__

    for file in [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        assert project["version"] == __version__, file
        ours = [need for need in project["dependencies"] if need.startswith("robotrain")]
        assert all(need.endswith(f"=={__version__}") for need in ours), file
