"""A job: platform-neutral, complete, immutable; its digest names the run."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime.contract.document import JobSource, Scalar

from robotrain.model.workload_profile import WorkloadProfile

GPUS_PARAMETER, NODES_PARAMETER = "num_gpus", "num_nodes"
NODES_FLAG = "--num-nodes"
PUBLISH_PARAMETER = "publish_url"
WANDB_PARAMETER = "wandb"
NAME_PARAMETER = "job_name"
"""The parameter, if a workload has it, with the name that tracking shows; by default the `--name` of the run."""
HUB_SCHEME = "hf:"
TRAINER_ARGS = "trainer_args"
"""What the arguments of the trainer are called among the values of a job."""
TRAINER_DEFAULT = "trainer_default"
OWN_PARAMETER = "own"
"""What a value of a job, as `explain` shows it, has beside a default that is not the trainer's own."""
SAME_KEY = "same"
"""Of the record of a job: what the same job has on every machine."""
BESIDE_KEY = "beside"
"""Of the record of a pipeline's job: whether it is to run beside the same pipeline of another machine."""
ARGUMENT_KEYS = (TRAINER_ARGS, "run")
"""What a job file may call them: the second suits a workload whose arguments are a whole command."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What will run, with every value resolved."""

    workload: str
    parameters: tuple[tuple[str, Scalar], ...]
    """Names and values, in the order the workload declares them."""
    sources: tuple[JobSource, ...] = ()
    trainer_args: tuple[str, ...] = ()
    profile: WorkloadProfile = field(default=WorkloadProfile(), compare=False, repr=False)
    """What the workload declares for platforms; not part of the digest."""
    labels: tuple[tuple[str, Scalar], ...] = ()
    """Parameters that only say what the run is called, each with the value that the digest has instead."""
    title: str = ""
    """What the user calls it; empty if its name is the workload's default. Not part of the digest."""
    program_lock: str = ""
    """The requirements, with hashes, of the environment that the user's program runs in, or of the packages that are
    added to that of the workload, locked when the job was submitted; empty for none. Like the pins of sources it is not
    part of the digest.
    """
    program_python: str = ""
    """The version of Python that they are locked for, such as `3.12`."""
    program_files: tuple[tuple[str, str], ...] = ()
    """The packages that were given as files, as in a job document."""
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What another machine needs to record the run, as in a job document; not part of the digest."""

    @property
    def same_key(self) -> str:
        """What the same job has on every machine, with its pins and settings, and no other; empty before it is sent.

        Names, notes and notifications do not count, nor does the version of robotrain.
        """
        return str(self.record.get(SAME_KEY, ""))

    def __getitem__(self, parameter: str) -> Any:
        """Return the value of a parameter. Raise KeyError."""
        return dict(self.parameters)[parameter]

    def with_parameter(self, name: str, value: Scalar) -> "Job":
        """Return the job with another value of a parameter."""
        changed_parameters = tuple((key, value if key == name else old_value) for key, old_value in self.parameters)
        return dataclasses.replace(self, parameters=changed_parameters)

    @property
    def training_gpus(self) -> int:
        """The GPUs of each node that it trains on; 0 if its workload has no such parameter."""
        count = dict(self.parameters).get(GPUS_PARAMETER)
        return count if isinstance(count, int) else 0

    @property
    def used_gpus(self) -> int:
        """The GPUs that it uses: those that it trains on; else one, unless it computes on the CPU."""
        parameters = dict(self.parameters)
        if parameters.get("device") == "cpu":
            return 0
        return self.training_gpus if GPUS_PARAMETER in parameters else 1

    @property
    def publishes_to_hub(self) -> bool:
        """Whether its checkpoints go to a repository, which needs a token and does not fail the run."""
        return str(dict(self.parameters).get(PUBLISH_PARAMETER) or "").strip().lower().startswith(HUB_SCHEME)

    @property
    def logs_to_wandb(self) -> bool:
        """Whether it logs to Weights & Biases, which needs a key where the job runs."""
        return dict(self.parameters).get(WANDB_PARAMETER) is True

    @property
    def training_nodes(self) -> int:
        """The nodes that it trains on together; 1 if its workload has no such parameter."""
        count = dict(self.parameters).get(NODES_PARAMETER)
        return count if isinstance(count, int) else 1

    @property
    def digest(self) -> str:
        """The SHA-256 of all that identifies the job, whatever `--name` says, in hexadecimal.

        Implied sources follow from the rest.
        """
        body = {
            "workload": self.workload,
            "parameters": {**dict(self.parameters), **dict(self.labels)},
            "sources": [[source.role, source.kind, source.uri] for source in self.sources if not source.implied],
            "trainer_args": self.trainer_args,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def run_name(self, attempt: int) -> str:
        """Return `WORKLOAD-DIGEST-ATTEMPT`, with 8 digits of the job's digest."""
        return f"{self.workload}-{self.digest[:8]}-{attempt}"


def parse_workload(run: str) -> str:
    """Return what a run's name begins with: its workload, or of a pipeline the name of that."""
    return run.rpartition("-")[0].rpartition("-")[0]


def parse_attempt(run: str) -> int:
    """Return the attempt at the end of a run's name; 0 if there is none."""
    number = run.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
