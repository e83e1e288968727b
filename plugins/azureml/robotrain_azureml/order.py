"""What is said to the workspace beside the job, and what has to be there before: `azureml.json` in a plan."""

from dataclasses import dataclass
from typing import Literal

from robotrain_azure import orders
from robotrain_azure.workspace import Workspace

FILE = "azureml.json"
SPEC = "job.yaml"
CODE = "code"
"""The folder of the plan that is the job's code; the job's `code:` names it."""
JOB = f"{CODE}/job.json"
PAYLOAD = f"{CODE}/payload.zip"
START = f"{CODE}/start.py"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The workspace's environment that the job names; it is registered with the image when it is not there."""

    name: str
    version: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A folder of this machine that the job reads. to: the folder of the datastore it goes into, by its content.

    files, size: of it, in bytes; None where the folder was not looked at. flag: what the person typed it with.
    """

    path: str
    to: str
    files: int | None = None
    size: int | None = None
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A data asset or a model that the job reads. scope: as in its full name; empty for the job's own workspace."""

    kind: Literal["data", "models"]
    name: str
    version: int
    scope: str = ""
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret of a key vault that the job reads. uri: its address. flag: the setting. what: it holds, in words."""

    uri: str
    flag: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How the job is handed over. compute_kind, identity: empty where nobody told. publishes: the address that
    checkpoints or results go to beside the output; empty for none. output: what the job's declared output is called.
    """

    run: str
    subscription: str
    group: str
    workspace: str
    environment: Environment
    compute: str
    compute_kind: str = ""
    instance_type: str = ""
    gpus: int = 0
    datastore: str = ""
    uploads: tuple[Upload, ...] = ()
    assets: tuple[Asset, ...] = ()
    secrets: tuple[Secret, ...] = ()
    identity: str = ""
    publishes: str = ""
    output: str = "checkpoints"
    schema: int = SCHEMA

    @property
    def at(self) -> Workspace:
        """The workspace that takes it."""
        return Workspace(self.subscription, self.group, self.workspace)


def dump(order: Order) -> bytes:
    """The one form: equal orders are equal bytes."""
    return orders.dump(order)


def load(content: bytes) -> Order:
    """Read an order. Raises OrderError, which repeats no value."""
    return orders.load(Order, content, FILE, SCHEMA)
