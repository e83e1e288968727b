"""The user's own training folder: the arguments of its program, and the launcher that starts it in the job.

`python -m robotrain_workloads.isaac_train.training_folder --folder FOLDER --entry FILE --work FOLDER -- ARGUMENTS`
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac import checkpoint_file, installation, job_command, user_code
from robotrain_workloads.isaac.parameters import TASKS_ENTRY
from robotrain_workloads.isaac.process_group import SCRATCH_FOLDER, start_script
from robotrain_workloads.isaac_train import parameters, start
from robotrain_workloads.supervision.process_group import GroupFollower

MODULE = "robotrain_workloads.isaac_train.training_folder"
DEFAULT_NAME = "training-code"
"""What a folder of the user's machine is called where OSMO's datasets have a name."""
DATA_FOLDER = Path("/data")


def find_source(document: JobDocument) -> JobSource | None:
    """Return the source of the training folder; None if Isaac Lab's own scripts train."""
    return None if document.parameters["entry"] == TASKS_ENTRY else user_code.find_code(document.sources)


def make_command(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the command that runs the folder's program, with the arguments and variables of the contract."""
    source = find_source(document)
    assert source is not None
    job_parameters = document.parameters
    labels = [mount.label for mount in document.placement.mounts if mount.role == user_code.CODE_ROLE]
    own_name = DEFAULT_NAME if source.kind == "local_path" else source.uri.rpartition("/")[2].partition(":")[0]
    name = next(iter(labels), "") or own_name
    program_options = ["--folder", str(data[source]), "--entry", str(job_parameters["entry"]), "--work", str(work)]
    program_options += ["--name", name] if labels else []
    for option in ("isaaclab_path", "isaac_version"):
        program_options += (
            [f"--{option.replace('_', '-')}={job_parameters[option]}"] if job_parameters[option] is not None else []
        )
    mode = start.find_start_mode(document)
    model = parameters.make_model_name(job_parameters)
    path = start.find_start_path(document, data)
    checkpoint = str(checkpoint_file.find_checkpoint_file(path, str(job_parameters["backend"]))) if path else ""
    arguments = [
        "--mode",
        "train",
        "--task",
        str(job_parameters["task"]),
        "--num_envs",
        str(job_parameters["num_envs"]),
    ]
    arguments += ["--checkpoint-uri", checkpoint] if checkpoint else []
    arguments += ["--checkpoint-mode", mode]
    arguments += ["--register-checkpoint", model] if model else []
    for option in ("max_iterations", "seed"):
        arguments += [f"--{option}", str(job_parameters[option])] if job_parameters[option] is not None else []
    arguments += ["--headless"] if job_parameters["headless"] else []
    environ: dict[str, str] = {
        "TASK": str(job_parameters["task"]),
        "NUM_ENVS": str(job_parameters["num_envs"]),
        "MAX_ITERATIONS": "" if job_parameters["max_iterations"] is None else str(job_parameters["max_iterations"]),
        "NUM_GPUS": str(job_parameters["num_gpus"]),
        "TRAINING_BACKEND": str(job_parameters["backend"]),
        "CHECKPOINT_URI": checkpoint,
        "CHECKPOINT_MODE": mode,
        "REGISTER_CHECKPOINT": model,
        "MLFLOW_CORRELATION_ID": str(job_parameters["correlation_id"] or ""),
        "OSMO_DATASET_NAME": name,
        "RUN_AZURE_SMOKE_TEST": "0",
    }
    return job_command.make_command(document, data, MODULE, [*program_options, "--", *arguments], environ)


def link_folder(folder: Path, name: str, parent: Path = DATA_FOLDER) -> Path:
    """Return `/data/NAME/training`, linked to the folder; the folder itself where that cannot be written."""
    link_path = parent / name / "training"
    try:
        link_path.parent.mkdir(parents=True, exist_ok=True)
        if link_path.is_symlink():
            link_path.unlink()
        link_path.symlink_to(folder, target_is_directory=True)
    except OSError:
        return folder
    return link_path


def main(arguments: Sequence[str]) -> int:
    """Run the folder's program; return its exit code. Raise SystemExit with a sentence."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="training_folder")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--entry", required=True)
    parser.add_argument("--work", type=Path, required=True, help="the run's own folder")
    parser.add_argument("--isaaclab-path")
    parser.add_argument("--isaac-version")
    parser.add_argument("--name", default="", help="link the folder to /data/NAME/training")
    program_options = parser.parse_args(arguments[:separator])
    try:
        folder = user_code.find_folder(program_options.folder, program_options.entry)
    except OSError as error:
        raise WorkFailed(error) from error
    root = link_folder(folder, program_options.name) if program_options.name else folder
    os.environ.update({"ROBOTRAIN_CODE": str(root), "TRAINING_ROOT": str(root), "PAYLOAD_ROOT": str(root)})
    with suppress(OSError):  # the program may bring its own
        lab = installation.find_installation(program_options.isaaclab_path, program_options.isaac_version)
        os.environ["PYTHON"] = " ".join(lab.python[1:] or lab.python)
    scratch = program_options.work / SCRATCH_FOLDER
    scratch.mkdir(parents=True, exist_ok=True)
    print(f"running {program_options.entry} of {root}", flush=True)
    command = ("bash", str(root / program_options.entry), *arguments[separator + 1 :])
    follower = GroupFollower(start_script(command, scratch, int(os.environ.get("NUM_GPUS") or 1)))
    follower.run()
    return follower.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
