"""Rules on tracking, registered models, and what the run publishes. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.errors import Problem
from robotrain.model.job import Job
from robotrain.model.workload import OutputProfile
from robotrain.redaction import redact
from robotrain_azure import workspace
from robotrain_azure.checks import (
    Suggestions,
    make_missing_value_problem,
    make_suggestions,
    make_unsupported_problem,
    make_warning,
)
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.role_flags import POLICY_MODEL

from robotrain_osmo.errors import make_invalid_value_problem
from robotrain_osmo.kinds import storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment, inputs

BLOB_URL_FORM = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"


SERVER_HINT = "--tracking-uri https://HOST"
_TRACKING_OFF = f"tracking is switched off: tracking_uri is `{environment.NO_TRACKING}`"
_REGIONAL_ADDRESS = (
    r"azureml://[^/]+/mlflow/v\d\.\d/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/?#]+)"
)


def check_workspace_names(settings: OsmoSettings) -> Iterator[Problem]:
    """Names that are none, and a workspace that is named in part."""
    for flag, text in workspace.find_invalid_names(settings):
        yield make_invalid_value_problem(flag, text, workspace.NAME_FORM, workspace.NAME_REASON)
    if settings.tracking_uri is None and (lacking := workspace.find_missing_flags(settings)):
        title = f"the workspace is named in part: {', '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} missing"
        why = "Runs are tracked in a workspace, and models registered there, when all three of its names are known."
        instead = make_suggestions(*(f"{flag} …" for flag in lacking), f"--tracking-uri {environment.NO_TRACKING}")
        yield make_missing_value_problem("osmo-workspace-incomplete", title, lacking[0], why, instead)


def check_tracking_uri(settings: OsmoSettings) -> Iterator[Problem]:
    """One that a pod reaches, and that may be written into plans."""
    text = settings.tracking_uri
    if not text or text == environment.NO_TRACKING:
        return
    if named := workspace.parse_tracking_uri(text):
        parts = zip(workspace.WORKSPACE_FLAGS, (named.subscription, named.group, named.name), strict=True)
        if not all(workspace.is_valid_name(flag, part) for flag, part in parts):
            yield _make_uri_problem(
                text, "It holds a character that no name in Azure has.", make_suggestions(workspace.WORKSPACE_USAGE)
            )
        return
    if found := re.fullmatch(_REGIONAL_ADDRESS, text, re.IGNORECASE):
        subscription, group, name = found.groups()
        way = f"--subscription-id {subscription} --resource-group {group} --workspace-name {name}"
        yield _make_uri_problem(
            text, "A workspace is named by its names; which region answers for it is asked.", make_suggestions(way)
        )
        return
    try:
        address = urlsplit(text)
    except ValueError:
        yield _make_uri_problem(text, "MLflow could not open it.")
        return
    if address.scheme.lower() not in ("https", "http") or not address.hostname:
        why = "It is no address of a server: the disk of a pod is gone when it ends, with what was tracked there."
        yield _make_uri_problem(text, why, make_suggestions(SERVER_HINT, workspace.WORKSPACE_USAGE))
    elif "@" in address.netloc or address.query or address.fragment:
        bare = address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
        yield _make_uri_problem(
            text, "It is written into the plan and the record of the run.", make_suggestions(f"--tracking-uri {bare}")
        )


def check_tracking(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Whether the run is tracked at all, and a model that could not be registered."""
    if environment.get_tracking_uri(settings) or (
        settings.tracking_uri is None and workspace.find_missing_flags(settings)
    ):
        return
    off = settings.tracking_uri == environment.NO_TRACKING
    named = workspace.get_workspace(settings)
    instead = make_suggestions(*suggest_tracking(settings))
    parameter = job.profile.outputs.register_parameter
    if model := dict(job.parameters).get(parameter):
        title = "there is no registry to register a model in"
        why = (
            f"Models are registered where the run is tracked, and {_TRACKING_OFF if off else 'it is tracked nowhere'}."
        )
        flag = f"--{parameter.replace('_', '-')}"
        yield make_missing_value_problem("osmo-no-registry", title, flag, why, instead, str(model))
    elif off and named:
        title = f"the run is not tracked in the workspace {redact(named.name)}, though it is named"
        yield make_warning(
            "osmo-workspace-unused", title, "--tracking-uri", f"{_TRACKING_OFF[0].upper()}{_TRACKING_OFF[1:]}.", instead
        )
    elif not off:
        why = "No workspace is known, and no MLflow address."
        quiet = make_suggestions(f"--tracking-uri {environment.NO_TRACKING}")
        yield make_warning("osmo-untracked", "the run is not tracked", "--workspace-name", why, instead + quiet)


def suggest_tracking(settings: OsmoSettings) -> Iterator[str]:
    """What to type for a run to be tracked. Where that is switched off names do not do: they count for nothing then."""
    if settings.tracking_uri == environment.NO_TRACKING:
        address = workspace.get_workspace(settings) or Workspace("SUBSCRIPTION", "GROUP", "WORKSPACE")
        yield f"--tracking-uri {address.tracking_uri}"
    else:
        yield workspace.WORKSPACE_USAGE
    yield SERVER_HINT


def _make_uri_problem(text: str, why: str, instead: Suggestions = ()) -> Problem:
    return make_invalid_value_problem(
        "--tracking-uri", text, "the address of an MLflow server, or `none`", why, instead
    )


TRACKED_KINDS = ("registered_model", "mlflow_run")


def check_models(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Each is found from the container, with what the job says of its tracking."""
    at = environment.get_tracking_uri(settings)
    for source in job.sources:
        if source.role != "policy":
            continue
        if source.kind == "model_asset":
            yield from _check_workspace_model(source, at)
        elif source.kind in TRACKED_KINDS and not at:
            title = f"the job is tracked nowhere, and {source.uri} is looked up where it is"
            instead = make_suggestions(*suggest_tracking(settings))
            yield make_missing_value_problem("osmo-nowhere-to-look", title, POLICY_MODEL.flag, "", instead, source.uri)
        elif source.kind == "registered_model" and workspace.parse_tracking_uri(at):
            yield _make_registry_problem(source)


def _check_workspace_model(source: JobSource, tracking_uri: str) -> Iterator[Problem]:
    """A model of a workspace is named in full, or is one of the workspace that the run is tracked in."""
    from robotrain_azure.models import container

    try:
        container.parse_model_name(source.uri, workspace.parse_tracking_uri(tracking_uri))
    except container.ModelNameError as no:
        title = f"OSMO cannot tell where {source.uri} lies"
        instead = make_suggestions(no.suggestion and f"{POLICY_MODEL.flag} {no.suggestion}")
        yield make_unsupported_problem("osmo-model-unnamed", title, POLICY_MODEL.flag, no.reason, instead, source.uri)


def _make_registry_problem(source: JobSource) -> Problem:
    name, _, version = source.uri.removeprefix("models:/").partition("/")
    why = "The run is tracked in an Azure ML workspace, and models of a workspace are named as it has them."
    title = "a model of an MLflow registry is looked up in the registry of the run's tracking, and that is a workspace"
    instead = make_suggestions(f"{POLICY_MODEL.flag} azureml:{name}:{version}", SERVER_HINT)
    return make_unsupported_problem("osmo-model-elsewhere", title, POLICY_MODEL.flag, why, instead, source.uri)


POD_DISK_NOTE = "The disk of a pod is gone when it ends."
_PUBLISH_FLAG = f"--{inputs.PUBLISH_PARAMETER.replace('_', '-')}"


def check_publishing(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Where a workload publishes at all."""
    values = dict(job.parameters)
    text = str(values.get(inputs.PUBLISH_PARAMETER) or "")
    left = job.profile.outputs
    if inputs.PUBLISH_PARAMETER in values and not text:
        registered = values.get(left.register_parameter) is not None
        yield from (
            _warn_of_lost_checkpoints(left, registered) if left.resumable else _warn_of_lost_results(left, settings)
        )
    if not storage.is_storage_url(text):
        return
    if values.get("keep") is not None:
        title = f"OSMO copies every checkpoint to {text.partition(':')[0]}://, and removes none"
        why = "Only what the run publishes itself is trimmed."
        instead = make_suggestions(f"--publish-url {BLOB_URL_FORM}", "--save-freq STEPS")
        yield make_unsupported_problem("osmo-keeps-all", title, "--keep", why, instead, str(values["keep"]))
    output = str(values.get("output_dir") or "")
    if not re.fullmatch(r"[A-Za-z0-9._/+=@~-]*", output):
        lie = "checkpoints lie" if left.resumable else "results lie"
        why = f"OSMO is told where the {lie}: letters, digits and `._/+=@~-`."
        yield make_invalid_value_problem("--output-dir", output, "a folder that OSMO can copy", why)


def _warn_of_lost_checkpoints(left: OutputProfile, registered: bool) -> Iterator[Problem]:
    if registered:
        title = "checkpoints are kept nowhere before the last is registered: a preempted run starts anew"
    else:
        title = f"nothing of this {left.noun} is kept"
    instead = make_suggestions(
        f"--publish-url {BLOB_URL_FORM}",
        *([] if registered else [f"--{left.register_parameter.replace('_', '-')} NAME"]),
    )
    yield make_warning("osmo-nothing-kept", title, _PUBLISH_FLAG, POD_DISK_NOTE, instead, registered)


def _warn_of_lost_results(left: OutputProfile, settings: OsmoSettings) -> Iterator[Problem]:
    """Those of a run that is tracked are among its artifacts."""
    if not environment.get_tracking_uri(settings):
        title = f"nothing of this {left.noun} is kept but what its log says"
        instead = make_suggestions(f"--publish-url {BLOB_URL_FORM}", *suggest_tracking(settings))
        yield make_warning("osmo-nothing-kept", title, _PUBLISH_FLAG, POD_DISK_NOTE, instead)
