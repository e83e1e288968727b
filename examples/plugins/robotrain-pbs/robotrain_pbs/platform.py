"""The PBS platform: a run is a folder that every node sees, and a job that qsub sends.

`--help` and the TAB key import this module too: what is expensive is imported where it is used.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from robotrain.plugin import (
    FoundJob,
    Job,
    Plan,
    Platform,
    Problem,
    SchedulerEngine,
    SchedulerJob,
    Status,
    hook,
)

from robotrain_pbs import client
from robotrain_pbs.settings import CAPABILITIES, Settings, check_settings, make_words

WAITING = ("Q", "H", "W", "T")


class PBSEngine(SchedulerEngine):
    """Runs a job on a PBS cluster."""

    commands = client.COMMANDS
    submit_command, job_pattern, job_variable = "qsub", r"^([0-9]+\.\S+)\s*$", "PBS_JOBID"
    dependency_words, hold_words, release_command = ("-W", "depend=afterok:{jobs}"), ("-h",), ("qrls",)
    own_variables = ("PBS_",)
    output_file = "pbs.txt"

    def check(self, job: Job, settings: Settings) -> Iterator[Problem]:
        yield from super().check(job, settings)
        yield from check_settings(settings)

    def make_submit_words(self, job: Job, settings: Settings, scheduler_job: SchedulerJob) -> list[str]:
        return make_words(settings, scheduler_job)

    def ask_scheduler(self, plan: Plan | None) -> Iterator[Problem]:
        for queue in dict.fromkeys(get_queue(job) for job in self.load_spec(plan).jobs) if plan else ("",):
            yield from client.find_queue_problems(queue)

    def make_refusal(self, plan: Plan, job: SchedulerJob, answer: str) -> Problem:
        return client.explain_refusal(answer, get_queue(job))

    def search_jobs(self, jobs: Sequence[SchedulerJob]) -> Iterator[FoundJob]:
        for job in client.query_jobs():
            variables = dict(pair.partition("=")[::2] for pair in job.get("Variable_List", "").split(","))
            yield FoundJob(
                job=job["name"],
                name=job.get("Job_Name", ""),
                token=variables.get("ROBOTRAIN_TOKEN", ""),
                is_waiting=job.get("job_state", "") in WAITING,
                is_held="u" in job.get("Hold_Types", ""),
                needs=re.findall(r"(?<=:)[^:@]+", job.get("depend", "")),
            )

    def get_engine_states(self, jobs: Collection[str]) -> Mapping[str, str]:
        return {job["name"]: client.describe_job(job) for job in client.query_jobs(*jobs)}

    def explain_state(self, engine_state: str) -> Status:
        return client.explain_state(engine_state)

    def stop_jobs(self, jobs: Sequence[str], how: str) -> str:
        # qdel would kill what has not ended ten seconds later
        command = ["qsig", "-s", "SIGTERM"] if how == "running" else ["qdel"]
        answers = [client.COMMANDS.run(*command, job) for job in jobs]
        refusals = (answer.stderr for answer in answers if answer.exit_code)
        over = "Unknown Job Id|has finished|invalid for state"
        return next((client.COMMANDS.quote(refusal) for refusal in refusals if not re.search(over, refusal)), "")


def get_queue(job: SchedulerJob) -> str:
    """Return the queue that a job goes to; empty for the server's default."""
    return dict(pairwise(job.words)).get("-q", "")


PBS = Platform(
    name="pbs",
    summary="a PBS cluster (OpenPBS, PBS Professional)",
    engine_class=PBSEngine,
    settings=Settings,
    capabilities=CAPABILITIES,
    cancel_command="qdel {job}",
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return the platform of this distribution."""
    return [PBS]
