"""The command that runs a program in the container of a job, through Pyxis or Apptainer."""

import os
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import claim

TOOLS = ("apptainer", "singularity")
"""The commands of Apptainer: that of its former name is the same."""


def make_container_command(
    container: Mapping[str, Any], folder: str, program: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """Return the command that runs a program in a container of `JobContainer`.

    Variables of the image count unless they are in `environ`.

    :param folder: where the program starts.
    """
    for path in container["folders"]:
        os.makedirs(path, exist_ok=True)
    mounts = list_mounts([*container["folders"], *container["mounts"]])
    inner_command = [
        "/usr/bin/env",
        *(f"{name}={variable_value}" for name, variable_value in environ.items()),
        *program,
    ]
    if container["tool"] == "apptainer":
        command = next(filter(None, map(shutil.which, TOOLS)), TOOLS[0])
        gpus = ["--nv"] if os.environ.get("SLURM_JOB_GPUS") else []
        return [command, "exec", *gpus, "--bind", ",".join(mounts), "--pwd", folder, container["image"], *inner_command]
    cores = os.environ.get("SLURM_CPUS_PER_TASK")  # srun does not take it over from its job
    return [
        "srun",
        "--ntasks=1",
        *([f"--cpus-per-task={cores}"] if cores else []),
        "--export=ALL",  # else only what the batch script lists
        "--kill-on-bad-exit=1",
        f"--container-image={container['image']}",
        f"--container-mounts={','.join(f'{path}:{path}' for path in mounts)}",
        f"--container-workdir={folder}",
        "--no-container-entrypoint",
        "--no-container-mount-home",
        *inner_command,
    ]


def list_mounts(paths: Iterable[str]) -> list[str]:
    """Return the paths that exist, without those that are in another one."""
    existing_paths = sorted({os.path.realpath(path): path for path in paths if os.path.exists(path)}.values())
    return [
        path
        for path in existing_paths
        if not any(path.startswith(f"{other_path.rstrip('/')}/") for other_path in existing_paths)
    ]


def stop_contained(folder: Path, name: str) -> bool:
    """Send SIGTERM to the runtime that works in a run's folder; return whether there is one on this node.

    The command that started the container does not pass it on: srun kills its program instead. Both tools let the
    processes of a container have the numbers that they have outside.

    :param name: of the job that claimed the run.
    """
    with suppress(OSError):
        owner = claim.find_owner(folder)
        if owner and owner.name == name and os.path.samefile(f"/proc/{owner.process}/cwd", folder):
            os.kill(owner.process, signal.SIGTERM)
            return True
    return False
