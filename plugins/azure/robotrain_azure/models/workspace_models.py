"""The models of an Azure ML workspace: listing, registering and tagging their versions."""

from collections.abc import Iterator, Mapping

from robotrain_azure.arm import Answer, ArmClient, ArmError
from robotrain_azure.workspace import ARTIFACTS_OUTPUT, Workspace

CUSTOM_TYPE = "custom_model"
MAX_TRIES = 5
READ_ONLY_FIELDS = frozenset({"provisioningState"})
"""Fields of a version that must not be sent back."""


class WorkspaceModels:
    """The models of one workspace, through Azure's resource manager. Every method raises ArmError.

    MLflow's registry in a workspace rejects models that are not in MLflow's format, such as a policy's checkpoint.
    """

    def __init__(self, arm: ArmClient, workspace: Workspace) -> None:
        self._arm = arm
        self._at = workspace.resource

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield each version of a model with its tags; none if there is no such model."""
        try:
            for model_version in self._arm.list_all(f"{self._at}/models/{name}/versions"):
                yield model_version.require_text("name"), model_version.get_object("properties").get_object("tags")
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
        """Register a folder of a run's output as the next version of a model and return its number."""
        properties = {
            "modelType": CUSTOM_TYPE,
            "modelUri": f"azureml://jobs/{run_id}/outputs/{output}/paths/{artifact}/",
            "tags": dict(tags),
            "description": description,
        }
        for _ in range(MAX_TRIES):
            try:
                model = self._arm.get_properties(f"{self._at}/models/{name}")
            except ArmError as error:
                if error.status != 404:
                    raise
                model = Answer()
            version = model.get_text("nextVersion") or "1"
            path = f"{self._at}/models/{name}/versions/{version}"
            try:
                self._arm.create_or_update(path, {"properties": properties})
            except ArmError as error:
                if error.status != 409:  # someone else created that version meanwhile
                    raise
            else:
                return version
        raise ArmError(f"others are registering versions of {name} at the same time")

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; an empty value removes a tag."""
        path = f"{self._at}/models/{name}/versions/{version}"
        properties = self._arm.get_properties(path)
        new_properties = {key: value for key, value in properties.items() if key not in READ_ONLY_FIELDS}
        merged_tags = {**properties.get_object("tags"), **tags}
        new_properties["tags"] = {key: value for key, value in merged_tags.items() if value}
        self._arm.create_or_update(path, {"properties": new_properties})
