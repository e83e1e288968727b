"""The declaration is light and matches its lock; container code imports no third-party package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_workloads.lerobot import dataset, versions
from robotrain_workloads.lerobot_train import container

FOLDER = Path(container.__file__).parents[1]
SUBMIT_SIDE = (
    *("workload", "rules", "version_parameters", "results_reader", "local_datasets", "profile"),
    *("lerobot_declarations", "lerobot_preview"),
    *("from_lerobot", "from_isaaclab", "translated_line", "policies", "option_finder", "option_rules", "option_names"),
    *("lazy_locker", "checkpoint_rules", "parameter_rules", "program_rules", "simulation_rules"),
    "code_rules",
    *("program_locker", "package_locker", "lock_inputs", "lock_target", "locking"),
)
ENVIRONMENT_SIDE = {
    "lerobot_eval/rollout/": {"numpy", "torch", "av", "lerobot"},
    "lerobot_training/weights_file": {"torch", "torchvision", "safetensors"},
    "lerobot_train/computed_statistics": {"numpy"},
    "lerobot_mixture/": {"numpy"},
    "dataset_check/": {"numpy", "pandas", "pyarrow", "av", "PIL"},
    "data_command/": {"robotrain", "typer", "numpy", "pyarrow", "av", "PIL"},
    "isaac/image/": {"torch", "yaml"},  # runs with the Python of Isaac Lab
    "rosbag/": {"numpy", "rosbags", "mcap", "backports", "compression", "simplejpeg", "PIL", "lerobot"},
    "rosbag_act_train/": {"robotrain", "typer", "yaml"},
}
"""What is imported by folders whose programs have an environment of their own; `robotrain bags` has an extra."""
CONTAINER_SIDE = [path for path in sorted(FOLDER.rglob("*.py")) if path.stem not in SUBMIT_SIDE]


def test_documented_versions_are_those_of_the_lock():
    locked = dict(re.findall(r"^([\w-]+)==([\w.]+)", container.ENVIRONMENT.lock.read_text(), re.MULTILINE))
    assert locked["lerobot"] == versions.get_version().name
    assert container.ENVIRONMENT.required_packages == {"lerobot": "0.6"}
    assert {"torch", "mlflow-skinny", "psutil", "nvidia-ml-py", "pyarrow"} <= locked.keys()


NEWER_MODULES = {"tomllib"}
"""Of the standard library, what Python 3.10 lacks, which a container may have."""


def test_what_travels_imports_the_standard_library_the_runtime_and_its_siblings():
    """Whatever else it needs, it imports in the functions that need it."""
    modules = {"robotrain_runtime", "robotrain_workloads", *sys.stdlib_module_names} - NEWER_MODULES
    for module in CONTAINER_SIDE:
        place = module.relative_to(FOLDER).as_posix()
        allowed = modules.union(*(names for folder, names in ENVIRONMENT_SIDE.items() if place.startswith(folder)))
        imports = re.findall(r"^(?:from (\w+)[\w.]* import |import (\w+))", module.read_text(), re.MULTILINE)
        assert {"".join(names) for names in imports} <= allowed, place


def test_declaring_it_imports_only_its_parameters():
    code = (
        "import robotrain.plugins.hookspecs, robotrain.model.workload, robotrain_runtime.contract.parameter, sys\n"
        "before = set(sys.modules)\n"
        "import robotrain_workloads.lerobot_train.workload\n"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith('robotrain_')))\n"
        "print(*{'torch', 'lerobot', 'mlflow', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own, heavy = result.stdout.splitlines()
    assert set(own.replace("robotrain_workloads.", "").split()) - {"robotrain_workloads"} == {
        "bag_parameters",
        "lerobot",
        "lerobot.parameters",
        "lerobot.version_parameters",
        "lerobot.versions",
        "lerobot_declarations",
        "lerobot_train",
        "lerobot_train.parameters",
        "lerobot_train.workload",
        "package_lock",
        "package_lock.lazy_locker",
        "packages",
        "parameters",
    }
    assert heavy == ""


def test_a_rank_has_no_thread_before_it_settles_its_signals():
    """One that numpy started would be ended by the signal that Slurm sends to all processes of a node."""
    code = "import robotrain_workloads.lerobot_train.launcher, sys; print(*{'numpy', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("episodes", "part", "emptied"),
    [({"push": 2}, 0.1, []), ({"push": 9, "pull": 1}, 0.1, ["pull"]), ({"push": 3}, 0.7, ["push"])],
)
def test_a_task_that_would_lose_its_only_episodes_is_noticed(episodes, part, emptied):
    assert dataset.find_emptied_tasks(episodes, part) == emptied
