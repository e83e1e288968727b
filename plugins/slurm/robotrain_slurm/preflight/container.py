"""Whether the cluster has what a job's container needs."""

import shutil
from collections.abc import Iterator

from robotrain.cluster.checks import make_preflight_problem
from robotrain.errors import Problem, Suggestion, suggest_leaving_out

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.node.container import TOOLS
from robotrain_slurm.spec.submission_spec import SlurmSpec

PYXIS_OPTION = "--container-image"
FLAG = "--container"


def check_containers(spec: SlurmSpec) -> Iterator[Problem]:
    """Check that srun has the options of Pyxis, or that Apptainer is installed here, and so probably on the nodes."""
    for tool in sorted({job.container.tool for job in spec.jobs} - {""}):
        other = Suggestion(f"{FLAG} {'apptainer' if tool == 'pyxis' else 'pyxis'}", "if the cluster has that")
        without = suggest_leaving_out(FLAG, remark="the environment is built in --cache-dir")
        if tool == "pyxis" and not _has_pyxis():
            title, why = "Slurm has no Pyxis here", f"`srun --help` does not name {PYXIS_OPTION}."
            yield make_preflight_problem("slurm-container-missing", title, FLAG, tool, why, other, without)
        elif tool == "apptainer" and not any(map(shutil.which, TOOLS)):
            title, why = "Apptainer is not on this machine", f"Neither {' nor '.join(TOOLS)} is on PATH."
            loaded = Suggestion("module load apptainer", "here, and --module apptainer for the job, if it is a module")
            yield make_preflight_problem("slurm-container-missing", title, FLAG, tool, why, loaded, other, without)


def _has_pyxis() -> bool:
    try:
        return PYXIS_OPTION in run_slurm("srun", "--help")
    except SlurmRefused:
        return False
