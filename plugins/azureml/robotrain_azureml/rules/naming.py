"""Rules on the names and tags that the workspace shows: of the job, of its experiment, those that a person gives it."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain.redaction import redact
from robotrain_azure.finding import cannot, ways

from robotrain_azureml import tags
from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import job as spec
from robotrain_azureml.spec.text import TEMPLATE

JOB = r"[A-Za-z0-9][A-Za-z0-9_-]*"
LONGEST_JOB = 255
SUFFIX = len("-a1b2c3")
"""What stands behind the run's name, so that colleagues who send the same job have a job each."""
EXPERIMENT = r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}"
EXPERIMENT_IS = "It is letters, digits, `_` and `-`, 256 at most, a letter or a digit first."
LONGEST_DISPLAY_NAME = 256
MOST_LABELS = 24
"""Of the 50 tags that a job may have. The training's own need some."""
_LABEL_NAME = r"[\w./: -]{1,100}"
LONGEST_LABEL = 1000
_OURS = r"(?i)(?:robotrain|mlflow|azureml)[._]"
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"


def workload(job: Job) -> Iterator[Problem]:
    """The job is named for the run, which is named for the workload."""
    longest = LONGEST_JOB - SUFFIX - len(job.run_name(999)) + len(job.workload)
    if not re.fullmatch(JOB, job.workload) or len(job.workload) > longest:
        why = f"The job is named for it: letters, digits, `-` and `_`, at most {longest} characters."
        yield cannot("azureml-workload-name", "Azure ML takes no such name of a workload", "", why, (), job.workload)


def experiment(job: Job) -> Iterator[Problem]:
    """The experiment that the job is listed in."""
    name = spec.experiment(job)
    if not re.fullmatch(EXPERIMENT, name):
        mended = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("_-")[:256]
        instead = ways(f"--experiment-name {mended}" if mended else "")
        yield unfit("--experiment-name", name, "the name of an experiment", EXPERIMENT_IS, instead)


def display_name(settings: Settings) -> Iterator[Problem]:
    """Text in one line."""
    text = settings.display_name
    if text is None:
        return
    if not text.strip() or len(text) > LONGEST_DISPLAY_NAME or re.search(_CONTROL, text) or TEMPLATE in text:
        why = f"It is one line of text, at most {LONGEST_DISPLAY_NAME} characters."
        yield unfit("--display-name", text, "a name to show", why)


def labels(settings: Settings) -> Iterator[Problem]:
    """Tags as a job may have them, none of which is somebody else's."""
    given = tags.tags(settings)
    if len(given) > MOST_LABELS:
        why = f"A job takes {MOST_LABELS} beside those of the training; these are {len(given)}."
        yield unfit("--labels", "", "tags of a job", why)
    for name, value in given.items():
        if why := _why_no_tag(name, value):
            yield unfit("--labels", f"{name}={value}", "tags of a job", why)


def _why_no_tag(name: str, value: str) -> str:
    if not re.fullmatch(_LABEL_NAME, name, re.ASCII):
        return f"{redact(name)!r} is no name of a tag: letters, digits and `_-./: `, at most 100 of them."
    if re.match(_OURS, name):
        return f"{redact(name)!r} is a tag that is set by the job itself."
    if len(value) > LONGEST_LABEL or re.search(_CONTROL, value) or TEMPLATE in value:
        return f"The value of {redact(name)!r} is not one line of at most {LONGEST_LABEL} characters."
    return ""
