"""Rules on names that OSMO and Kubernetes take: of the task and of labels."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain.redaction import redact
from robotrain_azure.finding import cannot, ways

from robotrain_osmo import names
from robotrain_osmo.rules.finding import unfit
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import brought, workflow

MOST_LABELS = 16


def task(job: Job) -> Iterator[Problem]:
    """The task is named for its workload, the workflow for the run."""
    longest = min(names.LONGEST_TASK, names.LONGEST_RUN - len(job.run_name(999)) + len(job.workload))
    if not re.fullmatch(names.NAME, job.workload) or len(job.workload) > longest:
        why = f"Its task is named for it: letters, digits, `-` and `_`, a letter first, at most {longest} characters."
        yield cannot("osmo-workload-name", "OSMO takes no such name of a workload", "", why, (), job.workload)
    elif job.workload.lower().replace("_", "-") == "osmo-ctrl":
        why = "It keeps this name for a container of its own."
        yield cannot("osmo-workload-name", "OSMO takes no such name of a workload", "", why, (), job.workload)


def labels(settings: Settings) -> Iterator[Problem]:
    """As Kubernetes has them; the versions with datasets have none."""
    given = workflow.labels(settings)
    if given and settings.server in brought.WITH_DATASETS:
        title = f"OSMO {settings.server} has no labels of workflows"
        yield cannot("osmo-server-without", title, "--labels", "They are new in 6.4.", ways("--server 6.4"))
    if len(given) > MOST_LABELS:
        why = f"OSMO takes at most {MOST_LABELS}; these are {len(given)}."
        yield unfit("--labels", "", "labels", why)
    for name, value in given.items():
        if not names.is_label_key(name):
            why = f"{redact(name)!r} is no name of a label: letters, digits, `-`, `_` and `.`, at most 63 of them."
            yield unfit("--labels", name, "labels as Kubernetes has them", why)
        if not names.is_label_value(value):
            why = f"{redact(value)!r} is no value of a label: letters, digits, `-`, `_` and `.`, at most 63 of them."
            yield unfit("--labels", f"{name}={value}", "labels as Kubernetes has them", why)
