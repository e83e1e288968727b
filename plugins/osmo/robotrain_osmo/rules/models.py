"""Rules on policies that are looked up where the run is tracked: models, and artifacts of other runs."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure import workspace
from robotrain_azure.finding import cannot, missing, ways
from robotrain_runtime.document import Source
from robotrain_sources.roles import POLICY_MODEL

from robotrain_osmo import tracking
from robotrain_osmo.rules import tracked
from robotrain_osmo.settings import Settings

LOOKED_UP = ("registered_model", "mlflow_run")


def reached(job: Job, settings: Settings) -> Iterator[Problem]:
    """Each is found from the container, with what the job says of its tracking."""
    at = tracking.uri(settings)
    for source in job.sources:
        if source.role != "policy":
            continue
        if source.kind == "model_asset":
            yield from _of_workspace(source, at)
        elif source.kind in LOOKED_UP and not at:
            title = f"the job is tracked nowhere, and {source.uri} is looked up where it is"
            instead = ways(*tracked.to_track(settings))
            yield missing("osmo-nowhere-to-look", title, POLICY_MODEL.flag, "", instead, source.uri)
        elif source.kind == "registered_model" and workspace.of_address(at):
            yield _of_another_registry(source)


def _of_workspace(source: Source, at: str) -> Iterator[Problem]:
    """A model of a workspace is named in full, or is one of the workspace that the run is tracked in."""
    from robotrain_azure.models import named

    try:
        named.of(source.uri, workspace.of_address(at))
    except named.Unnamed as no:
        title = f"OSMO cannot tell where {source.uri} lies"
        instead = ways(no.instead and f"{POLICY_MODEL.flag} {no.instead}")
        yield cannot("osmo-model-unnamed", title, POLICY_MODEL.flag, no.why, instead, source.uri)


def _of_another_registry(source: Source) -> Problem:
    name, _, version = source.uri.removeprefix("models:/").partition("/")
    why = "The run is tracked in an Azure ML workspace, and models of a workspace are named as it has them."
    title = "a model of an MLflow registry is looked up in the registry of the run's tracking, and that is a workspace"
    instead = ways(f"{POLICY_MODEL.flag} azureml:{name}:{version}", tracked.SERVER)
    return cannot("osmo-model-elsewhere", title, POLICY_MODEL.flag, why, instead, source.uri)
