"""Job documents that are tracked in the workspace of the stand-in."""

from collections.abc import Mapping
from types import MappingProxyType

from azure_stand_in.manager import GROUP, SUBSCRIPTION
from robotrain_azure.workspace import CONTAINER_PLUGINS, Workspace
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument, Placement

HERE = Workspace(SUBSCRIPTION, GROUP, "robots-ml")
PLUGIN_MODULES = MappingProxyType({"source.huggingface": "robotrain_sources.huggingface.fetch", **CONTAINER_PLUGINS})


def tracked_job(
    halves: Mapping[str, str] = PLUGIN_MODULES, platform: str = "here", parameters=MappingProxyType({}), **more: str
) -> JobDocument:
    """A job with these container plugins. more: of its placement."""
    placed = {"work": "/nowhere", "cache": "/nowhere", "tracking_uri": HERE.tracking_uri}
    return JobDocument(
        schema=document.SCHEMA,
        run="pretend-1",
        job="0" * 64,
        workload="pretend",
        platform=platform,
        halves=dict(halves),
        parameters=dict(parameters),
        placement=Placement(**placed | more),
    )
