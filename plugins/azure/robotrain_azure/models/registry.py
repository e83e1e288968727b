"""The latest version of a model of a workspace, and a version's tags, looked up when a job is submitted."""

from collections.abc import Mapping

from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.mlflow.reference import parse_registered_model
from robotrain_sources.mlflow.registry import MODEL_FLAGS, NAMED_VERSION

from robotrain_azure import errors
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.models.container import ModelNameError, parse_model_name
from robotrain_azure.workspace import MODEL_KIND, REGISTRY_KIND, Workspace, get_model_name

PATIENCE_SECONDS = 2.0


def find_latest_version(source: JobSource, workspace: Workspace) -> str:
    """Return the latest version of a source's model in the workspace. Raise SourceError."""
    name = parse_registered_model(source.uri).name
    arm = ArmClient(PATIENCE_SECONDS)
    versions: list[int] = []
    try:
        for resource in arm.list_all(f"{workspace.resource}/models/{name}/versions"):
            version = resource.require_text("name")
            versions += [int(version)] if version.isdecimal() else []
    except ArmError as error:
        if not errors.is_part_missing(error, name):
            diagnosis = errors.diagnose_error(error, workspace)
            kind = SourceUnreachable if diagnosis.network else SourceError
            raise kind(f"{diagnosis.title[:1].upper()}{diagnosis.title[1:]}.", *diagnosis.suggestions[:1]) from error
    if not versions:
        reason = f"The Azure ML workspace {workspace.name} has no version of {name}."
        raise SourceNotFound(reason, f"{MODEL_FLAGS[source.role]} {NAMED_VERSION}")
    return str(max(versions))


def read_tags(source: JobSource, workspace: Workspace | None) -> Mapping[str, str]:
    """Return the properties and tags of a model version; empty if they cannot be read, as preflight reports.

    `workspace`: the job's, if it has one.
    """
    if source.kind not in (MODEL_KIND, REGISTRY_KIND):
        return {}
    try:
        model = parse_model_name(get_model_name(source), workspace)
        path = f"{model.workspace.resource}/models/{model.name}/versions/{model.version}"
        properties = ArmClient(PATIENCE_SECONDS).get_properties(path)
        return {**properties.get_object("properties"), **properties.get_object("tags")}
    except (ModelNameError, ArmError):
        return {}
