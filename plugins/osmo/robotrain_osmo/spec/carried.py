"""What OSMO copies to a storage while the run goes on, and once more when it ends, however that is: checkpoints, which
it brings back when the run starts anew, or the results of an evaluation.

It copies whatever lies there, half a checkpoint too: the seal of each tells the reader which are whole, and results are
whole with the file that is written last. Links, such as `last`, it does not follow.
"""

import posixpath
from dataclasses import dataclass

from robotrain.job import Job

from robotrain_osmo.kinds import storage
from robotrain_osmo.order import WORKFLOW_ID

PARAMETER = "publish_url"
FREQUENCY = "10m"
"""Between the end of one copy and the next: each copies everything again."""
_OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True)
class Carried:
    """path: the folder in the container. url: where it is copied to, under its own name. back: whether a run that
    starts anew finds it there.

    The address ends with the workflow's id, which OSMO puts in: of two submissions of a run none writes over the
    other's.
    """

    path: str
    url: storage.Storage
    back: bool

    @property
    def entry(self) -> dict[str, str]:
        """As a task says it."""
        return {"path": self.path, "url": str(self.url), "frequency": FREQUENCY}


def carried(job: Job, work: str) -> Carried | None:
    """What OSMO copies; None when the run publishes by itself, or nothing. work: the run's folder in the container."""
    values, left = dict(job.parameters), job.profile.outputs
    text = str(values.get(PARAMETER) or "")
    if not storage.recognises(text):
        return None
    output = posixpath.join(work, str(values.get("output_dir") or _OUTPUTS))
    path = posixpath.normpath(posixpath.join(output, left.folder))
    return Carried(path, storage.parse(text).below(WORKFLOW_ID), left.resumable)


def published(job: Job, work: str) -> str:
    """The address that checkpoints or results go to, whoever brings them; empty for none."""
    if found := carried(job, work):
        return str(found.url.below(job.profile.outputs.folder))
    return str(dict(job.parameters).get(PARAMETER) or "")
