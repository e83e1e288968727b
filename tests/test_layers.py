"""Imports go one way: between distributions, between the folders of a package, and towards the runtime's contract."""

import sys

import pytest
import source_tree
import tomllib
from source_tree import PACKAGES, ROOT, Module

MODULES = source_tree.read_modules()
BENCH = ROOT / "bench"
BENCHMARKS = [
    Module(".".join(path.relative_to(BENCH).with_suffix("").parts), path) for path in sorted(BENCH.rglob("*.py"))
]
RUNTIME_MODULES = {
    # What a look at the disk and the cache measures, for `doctor`, `cache` and `image`.
    # An external command is stopped like every child process. A trainer is asked in the environment of a run.
    # What a run did not publish is published from here, as the runtime does it.
    # What ends a comparison of policies is one rule, in the run and for finished evaluations.
    "robotrain": {
        "comparison",
        "environments.environment",
        "environments.environment_check",
        "environments.interpreter",
        "environments.uv_program",
        "machine.disk_cache",
        "machine.hardware",
        "process.stop",
        "publishing.late_publication",
    },
    # Artifacts of tracking runs are fetched from where the run is tracked, by a helper process.
    # A fetch program that a stopped run started is ended like every child process.
    "robotrain_sources": {
        "data_environment",
        "process.helper_process",
        "process.stop",
        "checkpoints.model_lineage",
        "tracking.address",
    },
    # A program of the user's own gets the tracking address as MLflow takes it. Decoded frames are entries of the cache.
    "robotrain_workloads": {
        "comparison",
        "checkpoints.model_lineage",
        "environments.environment",
        "environments.uv_program",
        "machine.disk_cache",
        "machine.hardware",
        "process.child",
        "process.stop",
        "tracking.address",
    },
    # The runtime runs beside the plugin, which asks this machine what the container would.
    # A shell has the environment of the run, the secrets of its program included.
    "robotrain_local": {
        "environments",
        "environments.environment",
        "environments.work_secrets",
        "machine.disk_cache",
        "machine.hardware",
        "preflight",
        "process.stop",
    },
    "robotrain_azure": {"checkpoints.model_lineage", "environments.environment", "preflight", "process.stop"},
    "robotrain_osmo": set(),
    "robotrain_azureml": {"checkpoints.model_lineage"},
    # The login node has the disk of the run. A node tells channels of the end once nothing continues the run.
    "robotrain_slurm": {
        "checkpoints.targets",
        "environments.environment",
        "environments.interpreter",
        "machine.disk_cache",
        "process.stop",
        "publishing.end_notice",
    },
}
"""What each package uses of the runtime beside its contract and its plugin interface."""
READS_BAGS = {"numpy", "rosbags", "mcap", "backports", "compression", "simplejpeg", "PIL"}
"""What reads bags, the last two of the extra `rosbag`; imported where it is used."""
DEPENDENCIES = {
    "robotrain_runtime": set(),
    "robotrain": {
        "robotrain_runtime",
        "typer",
        "pydantic",
        "pluggy",
        "yaml",
        "dotenv",
        "platformdirs",
        "jinja2",
        "pathspec",
        "rich",
    },
    "robotrain_sources": {"robotrain", "robotrain_runtime", "huggingface_hub"},
    "robotrain_workloads": {"robotrain", "robotrain_runtime", "typer", "yaml", "packaging", *READS_BAGS},
    "robotrain_local": {"robotrain", "robotrain_runtime", "robotrain_sources", "psutil"},
    "robotrain_azure": {"robotrain", "robotrain_runtime", "robotrain_sources", "azure"},
    "robotrain_osmo": {"robotrain", "robotrain_runtime", "robotrain_sources", "robotrain_azure", "yaml"},
    "robotrain_azureml": {"robotrain", "robotrain_runtime", "robotrain_sources", "robotrain_azure", "yaml", "azure"},
    "robotrain_slurm": {"robotrain", "robotrain_runtime", "robotrain_sources"},
}
"""What each package may import: what its distribution declares."""
TESTING_DEPENDENCIES = {"pytest", "hypothesis"}
"""What the extra `testing` adds for the kits."""
ENVIRONMENT_DEPENDENCIES = {
    "robotrain_runtime": {"mlflow", "psutil", "pynvml"},
    "robotrain_workloads": {
        "lerobot",
        "torch",
        "torchvision",
        "safetensors",
        "pyarrow",
        "pandas",
        "av",
        "accelerate",
        "draccus",
        "gymnasium",
        "peft",
        "tensorboard",
        "wandb",
    },
}
"""What code may import that runs in a job's locked environment, never on the submit side."""
ENTRY_MODULES = ("api", "engine", "platform")


def package_of(module: Module) -> str:
    return module.name.partition(".")[0]


def is_testing(module: Module) -> bool:
    return f"{module.name}.".startswith("robotrain.testing.")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folders_import_one_another_in_a_circle(package):
    edges = source_tree.folder_imports(MODULES, package)
    for cycle in source_tree.find_cycles(edges):
        inside = [text for start in cycle for end in cycle for text in edges.get(start, {}).get(end, ())]
        pytest.fail("\n".join([", ".join(cycle), *inside]))


@pytest.mark.parametrize("modules", [MODULES, BENCHMARKS], ids=["product", "bench"])
def test_no_files_import_one_another_in_a_circle(modules):
    """Neither at the top, nor in functions, nor for type checkers; the `__init__` of a package may."""
    circles = source_tree.find_cycles(source_tree.file_imports(modules))
    assert circles == [], "\n".join("circle of files: " + ", ".join(circle) for circle in circles)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_imports_the_entry_module_of_its_package(package):
    entries = {f"{package}.{name}" for name in ENTRY_MODULES}
    imports = [
        f"{module.name} imports {name}"
        for module in MODULES
        if package_of(module) == package and module.folder != package
        for name in module.imports
        if name in entries or name.rpartition(".")[0] in entries
    ]
    assert imports == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_distribution_declares(package):
    packages = {package} | DEPENDENCIES[package] | ENVIRONMENT_DEPENDENCIES.get(package, set())
    packages |= set(sys.stdlib_module_names)
    for module in MODULES:
        if package_of(module) == package:
            allowed = packages | (TESTING_DEPENDENCIES if is_testing(module) else set())
            assert {name.partition(".")[0] for name in module.imports} <= allowed, module.name


@pytest.mark.parametrize("package", RUNTIME_MODULES)
def test_the_runtime_is_used_through_its_contract(package):
    allowed = ("robotrain_runtime.contract", "robotrain_runtime.plugin")
    allowed += tuple(f"robotrain_runtime.{name}" for name in RUNTIME_MODULES[package])
    for module in MODULES:
        if package_of(module) != package:
            continue
        used = {name for name in module.imports if name.startswith("robotrain_runtime.")}
        strange = {name for name in used if not any(f"{name}.".startswith(f"{start}.") for start in allowed)}
        assert not strange, module.name


def test_the_contract_of_the_runtime_is_a_leaf():
    for module in MODULES:
        if module.folder == "robotrain_runtime.contract":
            used = {name for name in module.imports if name.startswith("robotrain_runtime")}
            assert all(name.startswith("robotrain_runtime.contract") for name in used), module.name


def test_only_tests_import_the_kits():
    for module in MODULES:
        if not is_testing(module):
            assert not any(f"{name}.".startswith("robotrain.testing.") for name in module.imports), module.name


@pytest.mark.parametrize("name", ["osmo", "azureml", "azure ml", "slurm", "robotrain_local", "--platform local"])
def test_core_names_no_platform(name):
    assert [
        module.name for module in MODULES if package_of(module) == "robotrain" and name in module.text.lower()
    ] == []


def test_versions_move_in_lock_step():
    from robotrain import __version__

    for file in [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        assert project["version"] == __version__, file
        ours = [need for need in project["dependencies"] if need.startswith("robotrain")]
        assert all(need.endswith(f"=={__version__}") for need in ours), file
