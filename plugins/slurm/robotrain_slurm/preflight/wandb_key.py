"""Whether a job that logs to Weights & Biases will find a key: a node has no variables of the user's shell."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import WANDB_PARAMETER
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import Transport
from robotrain_runtime.contract.document import JobDocument

from robotrain_slurm.spec.script import has_prologue
from robotrain_slurm.spec.submission_spec import get_script, read_own

make_problem = Messages(__file__)

KEY = "WANDB_API_KEY"
PROLOGUE_VARIABLES = (KEY, "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE")
"""A job whose prologue sets one of them needs no login."""
LOGIN_SCRIPT = """\
for file in "$HOME/.netrc" "$HOME/_netrc"; do
  if grep -qsi wandb "$file"; then echo login; fi
  if [ -e "$file" ] && grep -qs base_url "$HOME/.config/wandb/settings"; then echo login; fi
done
"""
"""Print a word if `wandb login` left a key in the home folder, be it of a server of one's own."""


def check_wandb_key(
    transport: Transport, spec: SchedulerSpec, jobs: Sequence[JobDocument], files: Mapping[str, bytes]
) -> Iterator[Problem]:
    """Check that jobs with `--wandb` have a key, or a login in the home folder, which the nodes share.

    :param jobs: the first document of each job of the plan.
    :param files: those of the plan.
    """
    has_login = cache(lambda: bool(transport.query(LOGIN_SCRIPT).text.strip()))  # the machine is asked once, if at all
    for job, document in zip(spec.jobs, jobs, strict=True):
        if not document.parameters.get(WANDB_PARAMETER) or KEY in document.placement.secrets:
            continue
        script = files[get_script(job)].decode()
        if has_prologue(script) and re.search("|".join(PROLOGUE_VARIABLES), script):
            continue
        has_home = read_own(job).container.tool != "pyxis"  # which does not mount it
        if not (has_home and has_login()):
            yield make_problem("wandb-key-missing")
            return
