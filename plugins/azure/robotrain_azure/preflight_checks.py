"""Preflight checks that platforms on Azure share: the workspace, and the data that this machine can read.

What Azure does not show is reported as unchecked, never as missing.
"""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from robotrain.cluster.outputs import print_progress
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.store.files import get_cache_folder
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.preflight import preflight_remotely
from robotrain_sources.local_path import container

from robotrain_azure import errors
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.workspace import Workspace

make_problem = Messages(__file__)

PATIENCE_SECONDS = 5.0


def check_workspace(workspace: Workspace) -> Iterator[Problem]:
    """Check that the workspace exists; a warning if that cannot be checked."""
    try:
        ArmClient(PATIENCE_SECONDS).get(workspace.resource)
    except ArmError as error:
        diagnosis = errors.diagnose_error(error, workspace)
        is_missing, is_group_missing = diagnosis.kind == "missing", error.code == "ResourceGroupNotFound"
        yield make_problem(
            "resource-unknown" if is_missing else "not-checked-here",
            *diagnosis.suggestions,
            where="--resource-group" if is_group_missing else "--workspace-name",
            given=workspace.group if is_group_missing else workspace.name,
            severity="error" if is_missing else "warning",
            title=diagnosis.title if is_missing else f"cannot check the Azure ML workspace {workspace.name}",
            why=diagnosis.why if is_missing else f"{diagnosis.title}: {diagnosis.why}",
        )


DATA_CHECK_SECONDS = 30.0
CERTAIN_CODES = ("data-unusable",)
"""Problems that do not depend on who looks; for others, the job's identity may have access where you do not."""
JOB_CHECKS_AGAIN = "The job checks again with its own identity."
BLOB_KIND = "blob_url"
MAX_WARNINGS = 3
"""Warnings shown before the rest is summarized."""
SIGN_IN_HINTS = MappingProxyType({BLOB_KIND: "`az login` lets this machine check them"})


def check_data(document: JobDocument) -> Iterator[Problem]:
    """Check the access to sources and publish targets from this machine, and that datasets can be merged."""
    sources = select_checkable_sources(document)
    if not sources and not is_published_to_blobs(document):
        return
    findings = preflight_remotely(
        document, get_cache_folder(), print_progress, DATA_CHECK_SECONDS, SIGN_IN_HINTS, sources
    )
    warned = 0
    for problem in findings:
        if problem.code not in CERTAIN_CODES:
            problem = replace(problem, why=f"{problem.why} {JOB_CHECKS_AGAIN}".strip(), severity="warning")
        warned += problem.severity == "warning"
        if problem.severity != "warning" or warned <= MAX_WARNINGS:
            yield problem
    if warned > MAX_WARNINGS:
        yield make_problem("source-unreachable", warned=warned - MAX_WARNINGS)


def select_checkable_sources(document: JobDocument) -> tuple[JobSource, ...]:
    """Return the sources to check from here: all readable ones if datasets are merged, else blobs without a pin."""
    mounted_keys = {(mount.role, mount.uri) for mount in document.placement.mounts if mount.origin}
    sources = [
        source
        for source in document.sources
        if ((source.role, source.uri) not in mounted_keys or source.kind == "local_path")
        and source.kind not in document.placement.credentials
    ]
    if sum(source.role == "dataset" for source in sources) <= 1:
        return tuple(source for source in sources if source.kind == BLOB_KIND and not source.pin)
    context = ContainerContext(cache=get_cache_folder())
    return tuple(  # a folder that was uploaded need not be on this machine as it was pinned
        source
        for source in sources
        if (source.role, source.uri) not in mounted_keys or not any(container.preflight(source, context))
    )


def is_published_to_blobs(document: JobDocument) -> bool:
    """Return whether the run writes to blobs with its own identity."""
    url = str(document.parameters.get("publish_url") or "")
    return ".blob." in url and BLOB_KIND not in document.placement.credentials
