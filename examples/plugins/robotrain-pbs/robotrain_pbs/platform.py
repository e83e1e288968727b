"""The PBS platform: a run is a folder that every node sees, and a job that qsub sends.

`--help` and the TAB key import this module too: what is expensive is imported where it is used.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from robotrain.plugin import (
    Job,
    Messages,
    Plan,
    Platform,
    Problem,
    Rejected,
    SchedulerJob,
    SchedulerPlatform,
    Status,
    hook,
)

from robotrain_pbs import client
from robotrain_pbs.settings import CAPABILITIES, Settings, check_settings, make_words

make_problem = Messages(__file__)


class PBS(SchedulerPlatform):
    """Runs a job on a PBS cluster."""

    name, summary = "pbs", "a PBS cluster (OpenPBS, PBS Professional)"
    settings: type = Settings
    capabilities = CAPABILITIES
    commands = client.COMMANDS
    submit_command, job_pattern, job_variable = "qsub", r"(?m)^(\d+\.[\w.-]+)\s*$", "PBS_JOBID"
    own_variables = ("PBS_",)
    output_file = "pbs.txt"
    cancel_command = "qdel {job}"
    option_hints: Mapping[str, str] = {
        "--walltime": "use --time TIME",
        **dict.fromkeys(("-q", "--partition", "--pool"), "use --queue NAME"),
        **dict.fromkeys(("-l", "--select"), "use --cpus N, --gpus N, --memory SIZE, --resource NAME=VALUE"),
    }

    def check(self, job: Job, settings: Settings) -> Iterator[Problem]:
        yield from super().check(job, settings)
        yield from check_settings(settings)

    def make_submit_words(self, job: Job, settings: Settings, sent: SchedulerJob) -> list[str]:
        return make_words(settings, sent)

    def ask_scheduler(self, plan: Plan | None) -> Iterator[Problem]:
        return client.find_queue_problems(self._get_queue(plan) if plan else "")

    def make_refusal(self, plan: Plan, answer: str) -> Rejected:
        return Rejected([client.explain_refusal(answer, self._get_queue(plan))])

    def search_job(self, plan: Plan) -> str:
        variable = f"ROBOTRAIN_TOKEN={self.read_job(plan).token}"
        jobs = (job for job in client.query_jobs() if job.get("Job_Name") == plan.run)
        return next((job["name"] for job in jobs if variable in job.get("Variable_List", "").split(",")), "")

    def get_engine_state(self, job: str) -> str:
        return next((client.describe_job(one) for one in client.query_jobs(job)), "")

    def explain_state(self, engine_state: str) -> Status:
        return client.explain_state(engine_state)

    def stop_jobs(self, jobs: Sequence[str], how: str) -> str:
        # qdel would kill what has not ended ten seconds later
        command = ["qsig", "-s", "SIGTERM"] if how == "running" else ["qdel"]
        answers = [client.COMMANDS.run(*command, job) for job in jobs]
        refusals = (answer.stderr for answer in answers if answer.exit_code)
        over = "Unknown Job Id|has finished|invalid for state"
        return next((client.COMMANDS.quote(one) for one in refusals if not re.search(over, one)), "")

    def _get_queue(self, plan: Plan) -> str:
        """Return the queue that the job of a plan goes to; empty for the server's default."""
        words = self.read_job(plan).words
        return dict(pairwise(words)).get("-q", "")


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return the platform of this distribution."""
    return [PBS()]
