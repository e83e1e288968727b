"""What is said to the `osmo` command beside the workflow, and what has to be there before: `osmo.json` in a plan."""

from dataclasses import dataclass

from robotrain_azure import orders

FILE = "osmo.json"
WORKFLOW = "workflow.yaml"
JOB = "job.json"
PAYLOAD = "payload.tar.bz2"
"""In a plan whose payload is too large for the workflow itself."""
WORKFLOW_ID = "{{workflow_id}}"
"""Where OSMO puts the id that it gives a workflow, in whatever a task says."""
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A folder of this machine, or a file of the plan, that the workflow reads.

    path: the folder; empty for the plan's PAYLOAD. url: the OSMO storage URL of the folder it goes into, by content.
    files, size: of it, in bytes; None where the folder was not looked at. flag: what the person typed it with.
    """

    path: str
    url: str
    files: int | None = None
    size: int | None = None
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An OSMO storage URL that the workflow reads and that must not be empty."""

    url: str
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An OSMO credential that the workflow names. flag: the setting that says so. what: it holds, in words."""

    name: str
    key: str
    flag: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How the workflow is handed over. cli: the command. task: the one task's name. mounts: of the machine itself.

    shared_memory: as it was said; empty where nobody did. publishes: the address that checkpoints go to, by the run
    itself or by OSMO, perhaps with WORKFLOW_ID; empty for none. identity: the client id of the jobs' identity, when it
    is known; subscription: that of the resources it is asked about.
    """

    run: str
    cli: str
    pool: str
    server: str
    task: str
    gpu_platform: str
    priority: str = ""
    exec_timeout: str = ""
    mounts: tuple[str, ...] = ()
    shared_memory: str = ""
    uploads: tuple[Upload, ...] = ()
    inputs: tuple[Input, ...] = ()
    credentials: tuple[Credential, ...] = ()
    publishes: str = ""
    identity: str = ""
    subscription: str = ""
    schema: int = SCHEMA

    def published_by(self, workflow: str) -> str:
        """Where the checkpoints of the workflow with this id go; empty for nowhere."""
        return self.publishes.replace(WORKFLOW_ID, workflow)


def dump(order: Order) -> bytes:
    """The one form: equal orders are equal bytes."""
    return orders.dump(order)


def load(content: bytes) -> Order:
    """Read an order. Raises OrderError, which repeats no value."""
    return orders.load(Order, content, FILE, SCHEMA)
