"""Rules of `isaac-export` for a resolved job, on the submit side: also what a checkpoint in a local folder shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store.files import get_cache_folder
from robotrain_runtime.contract.problem import get_problem, make_data_problem

from robotrain_workloads.isaac.played_checkpoint import load_checkpoint
from robotrain_workloads.isaac_export import container

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)


def check_local_checkpoint(job: "Job") -> Iterator[Problem]:
    """Check a checkpoint of this machine before anything is sent: digest, parameters, whose weights it holds."""
    for source in job.sources:
        if source.role != "checkpoint" or source.kind != "local_path" or not Path(source.uri).is_dir():
            continue  # what is not here is checked where the job runs
        try:
            checkpoint = load_checkpoint(Path(source.uri), get_cache_folder())
            if job["agent_config"]:
                checkpoint = checkpoint._replace(params=Path(job["agent_config"]))
            expected = (job["sha256"], job["backend"], job["isaac_version"])
            problems = list(container.find_checkpoint_problems(checkpoint, *expected))
        except OSError as error:
            problems = [get_problem(error)]
        for finding in map(make_data_problem, problems):
            title = redact(finding.title, max_length=500)
            yield make_problem("checkpoint-not-exportable", *finding.suggestions, given=source.uri, title=title)
