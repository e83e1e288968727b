"""Rules of `isaac-export` for a resolved job, on the submit side: also what a checkpoint in a local folder shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.problem import get_problem, make_data_problem

from robotrain_workloads.isaac import checkpoint_content
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
            files = container.find_files(Path(source.uri))
            if job["agent_config"]:
                files = files._replace(agent=Path(job["agent_config"]))
            problems = list(container.find_file_problems(files, job["sha256"]))
            if not problems:
                content = checkpoint_content.read_content(files.weights)
                problems = list(container.find_content_problems(files, content, job["backend"], job["isaac_version"]))
        except OSError as error:
            problems = [get_problem(error)]
        for finding in map(make_data_problem, problems):
            title = redact(finding.title, max_length=500)
            yield make_problem("checkpoint-not-exportable", *finding.suggestions, given=source.uri, title=title)
