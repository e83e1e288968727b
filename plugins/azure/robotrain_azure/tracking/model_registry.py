"""The models of a workspace, through Azure's resource manager, as the workspace's own SDK registers them.

MLflow's registry there refuses a model that is not in MLflow's format, and a policy's checkpoint is none.
"""

from collections.abc import Iterator, Mapping

from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.workspace import Workspace

API_VERSION = "2024-04-01"
CUSTOM_TYPE = "custom_model"
ARTIFACTS_OUTPUT = "artifacts"
"""The output that tracking writes to."""
MAX_TRIES = 5
READ_ONLY_FIELDS = frozenset({"provisioningState"})
"""What the service says of a version, and is not told."""


class WorkspaceModels:
    """One workspace's. Every method raises ArmError."""

    def __init__(self, arm: ArmClient, workspace: Workspace) -> None:
        self._arm = arm
        self._at = workspace.resource

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Each version of a model, with its tags; none when there is no such model."""
        try:
            for found in self._arm.list_all(f"{self._at}/models/{name}/versions", API_VERSION):
                yield str(found["name"]), found["properties"].get("tags") or {}
        except ArmError as error:
            if error.status != 404:
                raise

    def create(
        self,
        name: str,
        run_id: str,
        artifact: str,
        tags: Mapping[str, str],
        description: str,
        *,
        output: str = ARTIFACTS_OUTPUT,
    ) -> str:
        """Make a folder of a run the next version of a model: its number. output: that of the run which it lies in."""
        made = {
            "modelType": CUSTOM_TYPE,
            "modelUri": f"azureml://jobs/{run_id}/outputs/{output}/paths/{artifact}/",
            "tags": dict(tags),
            "description": description,
        }
        for _ in range(MAX_TRIES):
            version = self._get_next_version(name)
            try:
                self._arm.create_or_update(
                    f"{self._at}/models/{name}/versions/{version}", API_VERSION, {"properties": made}
                )
            except ArmError as error:
                if error.status != 409:  # somebody else has made that version meanwhile
                    raise
            else:
                return version
        raise ArmError(f"others register versions of {name} at this very moment")

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; one that it has already changes, and goes with an empty text. Everything else must be
        sent as it is.
        """
        at = f"{self._at}/models/{name}/versions/{version}"
        there = self._arm.get(at, API_VERSION)["properties"]
        kept = {key: value for key, value in there.items() if key not in READ_ONLY_FIELDS}
        merged = {**(there.get("tags") or {}), **tags}
        told = {key: value for key, value in merged.items() if value}
        self._arm.create_or_update(at, API_VERSION, {"properties": {**kept, "tags": told}})

    def _get_next_version(self, name: str) -> str:
        try:
            return str(self._arm.get(f"{self._at}/models/{name}", API_VERSION)["properties"].get("nextVersion") or 1)
        except ArmError as error:
            if error.status != 404:
                raise
            return "1"
