"""How Slurm takes jobs: what `SchedulerRuns` sends them by."""
# ruff: noqa: D102 (the base class says what each method does)

import re
from collections.abc import Iterator, Mapping, Sequence

from robotrain.errors import Problem
from robotrain.model.plan import Plan
from robotrain.run_folder.facts import FACT_FILES, FolderFacts
from robotrain.run_folder.scheduler_plan import SchedulerJob
from robotrain.run_folder.submit import FoundJob, SchedulerRuns
from robotrain.run_folder.transport import Transport

from robotrain_slurm.capabilities import CANCEL_COMMAND, CAPABILITIES
from robotrain_slurm.client.commands import ENVIRONMENT, SlurmAway
from robotrain_slurm.client.failures import explain_refusal, quote_message
from robotrain_slurm.client.queue import query_queue
from robotrain_slurm.node.attempts import ATTEMPTS_FILE, parse_attempts
from robotrain_slurm.node.commands import AWAY_SIGNS
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE, get_script, read_own
from robotrain_slurm.submit import staging


class SlurmSubmits(SchedulerRuns):
    """How jobs are sent to the Slurm of a machine."""

    name, engine = "slurm", "Slurm"
    capabilities = CAPABILITIES
    cancel_command = CANCEL_COMMAND
    fact_files: Mapping[str, int] = {ATTEMPTS_FILE: 1 << 20, **FACT_FILES}  # before the outcome, which is of the last
    submit_command, job_pattern = "sbatch", r"^([0-9]+)(;\S+)?\s*$"
    hold_words = ("--hold",)
    dependency_words = ("--dependency=afterok:{jobs}", "--kill-on-invalid-dep=yes")
    release_command = ("scontrol", "release")
    environment_script = ENVIRONMENT
    cluster_variable = CLUSTER_VARIABLE
    away_pattern = "|".join(AWAY_SIGNS)
    # its message left and no answer came: Slurm may have taken the job, or take it later
    unsure_pattern = r"timed out|(?:send|receive|shutdown) failure|Zero Bytes|not connected|reset by peer|auth_verify"

    def __init__(self, at: Transport) -> None:
        self.at = at
        """What reaches the commands of Slurm."""

    def search_jobs(self, jobs: Sequence[SchedulerJob]) -> Iterator[FoundJob]:
        for one in query_queue(self.at, (job.name for job in jobs)):
            _, name, token = one.comment.split(":", 2) if one.comment.count(":") == 2 else ("", "", "")
            if not one.is_refused:
                yield FoundJob(
                    job=one.array,
                    name=name,
                    token=token,
                    is_waiting=one.state == "PENDING",
                    is_held=one.reason == "JobHeldUser",
                    needs=re.findall(r"\d+", one.dependency),
                )

    def make_refusal(self, plan: Plan, job: SchedulerJob, answer: str) -> Problem:
        return explain_refusal(self.at, answer, read_options(plan.files[get_script(job)].decode()))

    def make_silence(self, answer: str) -> SlurmAway:
        return SlurmAway(f"{quote_message(answer) or 'sbatch ended without an answer'}.")

    def find_begun_job(self, facts: FolderFacts) -> str:
        """Return the first job that began: others continue it."""
        known = parse_attempts(facts.read(ATTEMPTS_FILE).decode(errors="replace").splitlines())
        return known[0].job.partition("_")[0] if known else ""

    def fetch_other_files(self, plan: Plan) -> Mapping[str, bytes]:
        if not read_own(self.load_spec(plan).jobs[0]).is_staged:
            return {}
        return staging.place_staged_files(staging.fetch_inputs(self.at, plan))
