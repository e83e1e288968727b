"""The installation of Isaac Lab on this machine: its folder, its versions, and what it reads of a checkpoint."""

import functools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.finding import Finding, FindingError, Suggestion, make_finding
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import signal_group

from robotrain_workloads.isaac import script_options

IMAGE_FOLDER = Path("/workspace/isaaclab")
"""Where the images have it."""
SCRIPT = "isaaclab.sh"
PATH_VARIABLE = "ISAACLAB_PATH"
PROBE = Path(__file__).parent / "image" / "probe.py"
PROBE_PREFIX = "::isaac-probe:: "
PROBE_SECONDS = 300.0
PACKAGES = {"rsl_rl": "rsl-rl-lib", "skrl": "skrl"}
MINIMUMS = {("2.3", "rsl_rl"): (3, 0, 1), ("2.3", "skrl"): (1, 4, 2), ("3.0", "skrl"): (2, 1, 0)}
"""The oldest versions that Isaac Lab's scripts take; with an older skrl they exit with 0 and train nothing."""
TERMS = {"ACCEPT_EULA": "Y", "PRIVACY_CONSENT": "Y", "OMNI_KIT_ACCEPT_EULA": "YES"}
"""The last is that of an Isaac Sim that pip installed. No job is sent without the user's consent."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Probe:
    """What Isaac Lab's Python answered."""

    versions: Mapping[str, str]
    """By distribution; empty for a missing one."""
    checkpoint: Mapping[str, Any]
    """Of the checkpoint: `backend` and `iteration`, or `problem`; empty if none was asked for."""


def find_installation(given: object) -> Path:
    """Return the folder of isaaclab.sh; `given` is that of --isaaclab-path, or None. Raise OSError with a sentence."""
    folder = Path(str(given or os.environ.get(PATH_VARIABLE) or IMAGE_FOLDER))
    if not (folder / SCRIPT).is_file():
        where = "--isaaclab-path" if given else PATH_VARIABLE if os.environ.get(PATH_VARIABLE) else "the image's folder"
        lacks = f"Isaac Lab was not found: {folder} ({where}) has no {SCRIPT}"
        raise FindingError(make_finding(lacks, Suggestion("--isaaclab-path FOLDER", f"or {PATH_VARIABLE}")))
    return folder


def read_version(folder: Path) -> str:
    """Return Isaac Lab's version, such as 2.3.2; empty if unknown."""
    try:
        return (folder / "VERSION").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def choose_series(folder: Path) -> str:
    """Return the series whose command line the installation has: 2.3 or 3.0."""
    if match := re.match(r"\d+", read_version(folder)):
        return "3.0" if int(match[0]) >= 3 else "2.3"
    return "3.0" if (folder / "scripts/reinforcement_learning/train.py").is_file() else "2.3"


def make_script_words(folder: Path, name: str, backend: str, version: str | None) -> tuple[str, ...]:
    """Return the words that name a script, such as `play.py`, on the command line of the version that is expected."""
    scripts = folder / "scripts" / "reinforcement_learning"
    if (version or choose_series(folder)) == "3.0":
        return str(scripts / name), "--rl_library", backend
    return (str(scripts / backend / name),)


def make_environ(processes: int = 1) -> dict[str, str]:
    """Return the environment variables for Isaac Lab: robotrain's packages stay out of its Python.

    processes: how many share the cores of this machine, one for each GPU.
    """
    left_out = {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONHOME"}
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    threads = str(hardware.count_threads(processes, environ={}))  # else each process takes all cores
    root = {"OMNI_KIT_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}  # the simulator refuses to start as root
    own = {**TERMS, "HYDRA_FULL_ERROR": "1", "PYTHONUNBUFFERED": "1"}
    return {**dict.fromkeys(THREAD_VARIABLES, threads), **root, **inherited, **own}


@functools.lru_cache(8)
def probe(folder: Path, checkpoint: Path | None = None) -> Probe:
    """Ask Isaac Lab's Python, without the simulator. Raise OSError with a sentence."""
    return ask_program(folder, PROBE, *((str(checkpoint),) if checkpoint else ()))


def ask_program(folder: Path, program: Path, *arguments: str) -> Probe:
    """Return what a program that Isaac Lab's Python runs prints by `probe.print_answer`. Raise OSError, as above."""
    process = subprocess.Popen(
        ["bash", str(folder / SCRIPT), "-p", str(program), *arguments],
        env=make_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=PROBE_SECONDS)
    except BaseException as error:
        signal_group(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeoutError(f"{folder / SCRIPT} -p did not answer in {PROBE_SECONDS:.0f} s") from None
        raise
    lines = output.splitlines()
    answer = next((line.removeprefix(PROBE_PREFIX) for line in lines if line.startswith(PROBE_PREFIX)), "")
    if process.returncode or not answer:
        last = lines[-1] if lines else "it printed nothing"
        raise OSError(f"{folder / SCRIPT} -p does not run Python (exit code {process.returncode}): {last}")
    return Probe(**json.loads(answer))


def find_version_problems(folder: Path, backend: str, found: Probe) -> Iterator[Finding]:
    """Yield why the installation cannot train with a backend."""
    series, name = choose_series(folder), PACKAGES[backend]
    version = found.versions.get(name, "")
    minimum = MINIMUMS.get((series, backend), ())
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not version:
        yield make_finding(
            f"the Isaac Lab in {folder} has no {name}", f"--backend {'rsl_rl' if backend == 'skrl' else 'skrl'}"
        )
    elif numbers < minimum:
        needed = ".".join(map(str, minimum))
        yield make_finding(
            f"Isaac Lab {series} needs {name} {needed} or newer, but {folder} has {version}", "--image IMAGE"
        )


def find_script_problems(document: JobDocument, folder: Path, script: script_options.Script) -> Iterator[Finding | str]:
    """Yield why a job's script would not start: the version that the job is for, and its options after `--`."""
    series, expected = choose_series(folder), document.parameters["isaac_version"]
    if expected not in (None, series):
        version = read_version(folder) or series
        yield make_finding(
            f"the job is for Isaac Lab {expected}, but {folder} has {version}", f"--isaac-version {series}"
        )
    script = script._replace(pass_unknown=bool(document.parameters.get("pass_unknown")))
    for problem in script_options.find_option_problems(document.trainer_args, script, series):
        if problem.level == "error":
            yield make_finding(f"{problem.title}: {problem.why}", problem.suggestion)
