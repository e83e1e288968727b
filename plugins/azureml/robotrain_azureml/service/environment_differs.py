"""An environment of the workspace that holds another image: a version is made once, and a job in another image would
be another job.
"""

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_azureml.order import Environment


def problem(wanted: Environment, there: str, stage: Stage) -> Problem:
    """there: the image that it holds; empty for none."""
    holds = f"the image {there}" if there else "no image: it is built from files"
    return Problem(
        code="azureml-environment-differs",
        stage=stage,
        title=f"the environment {wanted.name}:{wanted.version} of the workspace holds another image",
        where="--environment-version",
        given=redact(wanted.version),
        why=f"It holds {holds}. The job is to run in {wanted.image}. A version of an environment cannot be changed.",
        instead=(
            Instead("--environment-version VERSION", "another one, which is registered with the job's image"),
            Instead("--environment-name NAME", "the same, under another name"),
            *([Instead(f"--image {there}", "when the job may run in that one")] if there else []),
        ),
    )
