"""Whether the nodes may have the Python that the environment of a job is built with: this machine is asked for them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain.errors import Problem, Stage
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.environments import environment, interpreter
from robotrain_runtime.machine.disk_cache import COMPLETE

from robotrain_slurm.preflight.survey import MachineSurvey
from robotrain_slurm.spec.script import has_prologue
from robotrain_slurm.spec.submission_spec import SUBMISSION, get_script, read_own

make_problem = Messages(__file__)


def list_needed_pythons(plan: Plan) -> dict[str, str]:
    """Return the versions of Python that nodes build environments with, by a file of each that is built."""
    needed: dict[str, str] = {}
    spec = SUBMISSION.load(plan, Stage.PREFLIGHT)
    for job in () if read_own(spec.jobs[0]).is_staged else spec.jobs:
        script = plan.files[get_script(job)].decode()
        if read_own(job).container.tool or has_prologue(script):  # which may bring a Python
            continue
        try:
            document = parse_document(plan.files[job.documents[0]].decode())
            placement = plugin_loader.get_run_placement(document)
            required = plugin_loader.load_workload_plugin(document).environment(document)
        except Exception:  # of a plugin that is written for the node alone
            continue
        if not (placement.environment or required.required_modules):
            folder = environment.get_environment_folder(required.lock, Path(placement.cache), placement.torch_backend)
            needed[str(folder / COMPLETE)] = required.python
    return needed


def check_pythons(needed: Mapping[str, str], survey: MachineSurvey) -> Iterator[Problem]:
    """Warn if an environment is not built yet and this machine has no Python for it: the nodes are mostly like it."""
    for folder, version in needed.items():
        allowed = interpreter.list_allowed_versions(version)
        if not survey.paths[folder].exists and not set(allowed) & set(survey.pythons):
            yield make_problem("slurm-python-missing", version=version, newest=allowed[0])
            return
