"""What every part of a workspace's service stands on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from azure_stand_in.ml.store import Store
from azure_stand_in.mlflow_server import Runs

if TYPE_CHECKING:
    from azure_stand_in.ml.job import Job

CONTAINER = "azureml-blobstore"
"""That of the workspace's own datastore."""


@dataclass
class Here:
    """store: the workspaces' storage account; None where only what needs no blobs is asked. runner: who runs jobs.

    runs: where a run is begun for each new job, as MLflow has it. cancelling: whether a job that nobody runs is
    canceled when that is asked for, or later.
    """

    store: Store | None = None
    runner: "Callable[[Job], None] | None" = None
    runs: Runs | None = None
    cancelling: Literal["at-once", "slow"] = "at-once"

    @property
    def blobs(self) -> Store:
        """The storage account."""
        assert self.store is not None, "this stand-in has no storage account"
        return self.store
