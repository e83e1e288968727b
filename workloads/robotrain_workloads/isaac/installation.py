"""Isaac Lab on this machine: where it is, which version, and how its Python is started."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import added_packages
from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE, GpuRequirement, PythonEnvironment
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.problem import (
    ProblemError,
    Problems,
    Suggestion,
    make_data_problem,
    suggest_leaving_out,
)
from robotrain_runtime.machine import hardware

from robotrain_workloads.isaac import script_options, user_code
from robotrain_workloads.isaac.versions import LABS, lab_3_0
from robotrain_workloads.packages import WITH_FLAG as PACKAGES_FLAG

IMAGE_FOLDER = Path("/workspace/isaaclab")
"""Where the images have it."""
SCRIPT = "isaaclab.sh"
OPTION_CHECK = "robotrain_workloads.isaac_check.option_check"
"""The program that asks Isaac Lab about options, on the submit side."""
PATH_VARIABLE = "ISAACLAB_PATH"
TERMS = {"ACCEPT_EULA": "Y", "PRIVACY_CONSENT": "Y", "OMNI_KIT_ACCEPT_EULA": "YES"}
"""The last is that of an Isaac Sim that pip installed. No job is sent without the user's consent."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
KERNELS_VARIABLE, KERNELS_FOLDER = "WARP_CACHE_PATH", "warp"
"""Where Warp keeps the kernels that it compiled, in the cache that runs share: the first compilation takes a minute."""


@dataclass(frozen=True, slots=True)
class IsaacLab:
    """An Isaac Lab on this machine."""

    python: tuple[str, ...]
    """The words that start its Python."""
    name: str
    """What messages call it: its folder, or the path of its Python."""
    version: str
    """Such as 2.3.2 or 3.0; the first two numbers if the rest is unknown."""
    folder: Path | None = None
    """The folder of `isaaclab.sh`; None for packages of an environment."""

    @property
    def series(self) -> str:
        """The version of its command line: 2.3 or 3.0."""
        match = re.match(r"\d+", self.version)
        return "3.0" if match and int(match[0]) >= 3 else "2.3"

    def make_script_words(self, action: str, backend: str) -> tuple[str, ...]:
        """Return the words that start an action, `train` or `play`."""
        words: tuple[str, ...] = LABS[self.series].make_script_words(self.folder, action, backend)
        return words

    def make_machine_arguments(self, backend: str, options: Sequence[str], headless: bool) -> tuple[str, ...]:
        """Return the arguments that say where the action runs, beside the user's `options`."""
        arguments: tuple[str, ...] = LABS[self.series].make_machine_arguments(backend, options, headless=headless)
        return arguments


def find_installation(path: object, series: object) -> IsaacLab:
    """Return the Isaac Lab that a job uses. Raise OSError with a sentence.

    It is that of `--isaaclab-path`, else the environment of the job's program, else that of ISAACLAB_PATH or the image.

    :param path: the value of `--isaaclab-path`, or None.
    :param series: the version that the job is for: 2.3, 3.0, or None for any.
    """
    python = os.environ.get(PROGRAM_PYTHON_VARIABLE)
    if python and not path:
        return IsaacLab((python,), python, "3.0")
    folder = _choose_folder(path)
    if not (folder / SCRIPT).is_file():
        path_origin = (
            "--isaaclab-path" if path else PATH_VARIABLE if os.environ.get(PATH_VARIABLE) else "the image's folder"
        )
        lack_text = f"Isaac Lab was not found: {folder} ({path_origin}) has no {SCRIPT}"
        raise ProblemError(make_data_problem(lack_text, Suggestion("--isaaclab-path FOLDER", f"or {PATH_VARIABLE}")))
    lab = _describe_folder(folder)
    if series not in (None, lab.series):
        problem_text = f"the job is for Isaac Lab {series}, but {folder} has {lab.version}"
        raise ProblemError(make_data_problem(problem_text, f"--isaac-version {lab.series}"))
    return lab


def find_present(document: JobDocument) -> IsaacLab | None:
    """Return the Isaac Lab that a job uses, before its environments are built: None for one of these.

    Raise OSError with a sentence.
    """
    parameters, environment = document.parameters, document.placement.environment
    if environment is not None and not parameters["isaaclab_path"] and parameters["isaac_version"] == "2.3":
        title = f"Isaac Lab 2.3 starts by the scripts of its folder, and {environment} is an environment"
        ways = ("--isaac-version 3.0", Suggestion("--isaaclab-path FOLDER", "that of 2.3"))
        raise ProblemError(make_data_problem(title, *ways))
    if environment is not None or is_built(document):
        return None
    lab = find_installation(parameters["isaaclab_path"], parameters["isaac_version"])
    if document.program_lock:
        title = f"{PACKAGES_FLAG} adds packages to an Isaac Lab that robotrain builds, and {lab.name} has one"
        raise ProblemError(make_data_problem(title, suggest_leaving_out(PACKAGES_FLAG), "--image IMAGE"))
    return lab


def choose_series(lab: IsaacLab | None) -> str:
    """Return the version that a job's checks are about: 3.0 if its Isaac Lab is in an environment."""
    return lab.series if lab else "3.0"


def program_environment(document: JobDocument, work: Path) -> PythonEnvironment | None:
    """Return the environment that Isaac Lab is built in for a job, as `WorkloadContainerPlugin` has it.

    None if the image or the user brings it.
    """
    return added_packages.add_packages(lab_3_0.ENVIRONMENT, document) if is_built(document) else None


def is_built(document: JobDocument) -> bool:
    """Return whether robotrain builds the environment with Isaac Lab for a job."""
    parameters = document.parameters
    is_brought = bool(parameters["isaaclab_path"]) or (_choose_folder(None) / SCRIPT).is_file()
    return parameters["isaac_version"] == "3.0" and not is_brought


def can_be_asked(document: JobDocument) -> bool:
    """Return whether Isaac Lab can be asked about a job's options before: not one that the image or the user brings.

    Nor with code or packages of the user, which nothing but the job runs.
    """
    return is_built(document) and not user_code.find_code(document.sources) and not document.parameters["packages"]


def find_gpu_requirement(document: JobDocument) -> GpuRequirement:
    """Return the GPUs that a job needs: with one process, it takes one if there is one."""
    count = document.parameters.get("num_gpus")
    is_on_gpu = is_built(document) and lab_3_0.find_device(document.trainer_args) != "cpu"
    cuda = hardware.read_cuda_version(lab_3_0.ENVIRONMENT.lock) if is_on_gpu else ""
    return GpuRequirement(count=count if isinstance(count, int) and count > 1 else 0, cuda=cuda)


def _choose_folder(path: object) -> Path:
    return Path(str(path or os.environ.get(PATH_VARIABLE) or IMAGE_FOLDER))


def _describe_folder(folder: Path) -> IsaacLab:
    """Return the Isaac Lab of a folder with `isaaclab.sh`; without a file VERSION its scripts tell."""
    try:
        version = (folder / "VERSION").read_text(encoding="utf-8").strip()
    except OSError:
        version = ""
    if not re.match(r"\d+", version):
        version = "3.0" if (folder / "scripts/reinforcement_learning/train.py").is_file() else "2.3"
    return IsaacLab(("bash", str(folder / SCRIPT), "-p"), str(folder), version, folder)


def make_environ(processes: int = 1) -> dict[str, str]:
    """Return the environment variables for Isaac Lab: robotrain's packages stay out of its Python.

    processes: how many share the cores of this machine, one for each GPU.
    """
    omitted_variables = {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONHOME"}
    inherited = {name: variable_value for name, variable_value in os.environ.items() if name not in omitted_variables}
    threads = str(hardware.count_threads(processes, environ={}))  # else each process takes all cores
    root = {"OMNI_KIT_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}  # the simulator refuses to start as root
    own_variables = {**TERMS, "HYDRA_FULL_ERROR": "1", "PYTHONUNBUFFERED": "1"}
    return {**dict.fromkeys(THREAD_VARIABLES, threads), **root, **inherited, **own_variables}


def make_job_environ(document: JobDocument) -> dict[str, str]:
    """Return the environment variables that a job adds for Isaac Lab."""
    return {**TERMS, KERNELS_VARIABLE: str(Path(document.placement.cache, KERNELS_FOLDER).absolute())}


def find_script_problems(document: JobDocument, series: str, script: script_options.Script) -> Problems:
    """Yield why a job's script would not start with its options after `--`.

    :param series: the version of Isaac Lab that runs it.
    """
    device = lab_3_0.find_device(document.trainer_args) if series == "3.0" else ""
    if device.startswith("cuda") and not hardware.count_visible_gpus():
        title = f"{lab_3_0.DEVICE} {device} needs an NVIDIA GPU, and the machine that runs the job has none"
        yield make_data_problem(title, f"-- {lab_3_0.DEVICE} cpu")
    script = script._replace(pass_unknown=bool(document.parameters.get("pass_unknown")))
    for problem in script_options.find_option_problems(document.trainer_args, script, series):
        if problem.severity == "error":
            yield make_data_problem(f"{problem.title}: {problem.why}", *problem.suggestions)
