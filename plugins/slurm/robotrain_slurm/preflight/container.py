"""Whether the cluster has what a job's container needs."""

import re
from collections.abc import Iterator, Mapping

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.node.container import TOOLS
from robotrain_slurm.preflight.survey import MachineSurvey
from robotrain_slurm.spec.submission_spec import get_script, read_own

make_problem = Messages(__file__)

PYXIS_OPTION = "--container-image"
FLAG = "--container"
LOADED = rf"^\s*module load .*\b(?:{'|'.join(TOOLS)})\b"
"""A line of a batch script that loads Apptainer, which need not be on this machine then."""


def check_containers(
    at: Transport, spec: SchedulerSpec, files: Mapping[str, bytes], survey: MachineSurvey
) -> Iterator[Problem]:
    """Check that srun has the options of Pyxis, or that Apptainer is installed here, and so probably on the nodes.

    :param files: those of the plan; a batch script that loads Apptainer as a module is not checked.
    """
    for tool in sorted({read_own(job).container.tool for job in spec.jobs} - {""}):
        other = Suggestion(f"{FLAG} {'apptainer' if tool == 'pyxis' else 'pyxis'}", "if the cluster has that")
        without = suggest_leaving_out(FLAG, remark="the environment is built in --cache-dir")
        if tool == "pyxis" and not _has_pyxis(at):
            yield make_problem("slurm-container-missing.pyxis", other, without, given=tool)
        elif tool == "apptainer" and not survey.commands and not _is_loaded(spec, files):
            loaded = Suggestion("--module apptainer", "if it is a module of the nodes")
            yield make_problem(
                "slurm-container-missing.apptainer", loaded, other, without, given=tool, tools=" nor ".join(TOOLS)
            )


def _is_loaded(spec: SchedulerSpec, files: Mapping[str, bytes]) -> bool:
    scripts = [files[get_script(job)].decode() for job in spec.jobs if read_own(job).container.tool == "apptainer"]
    return all(re.search(LOADED, script, re.MULTILINE) for script in scripts)


def _has_pyxis(at: Transport) -> bool:
    try:
        return PYXIS_OPTION in run_slurm(at, "srun", "--help")
    except SlurmRefused:
        return False
