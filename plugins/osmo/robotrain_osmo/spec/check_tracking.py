"""Rules on tracking, registered models, and what the run publishes. Pure."""

import functools
from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.check.kept_outputs import LostDisk, check_kept_outputs
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain_azure import settings as azure_settings
from robotrain_azure import workspace
from robotrain_azure.workspace import Workspace
from robotrain_sources.role_flags import CHECKPOINT, POLICY_MODEL, REFERENCE_MODEL

from robotrain_osmo import storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment
from robotrain_osmo.spec.workflow import GUARD, make_invalid_value_problem

make_problem = Messages(__file__)

BLOB_URL_FORM = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
HUB_FORM = "hf://OWNER/NAME"
SERVER_HINT = "--tracking-uri https://HOST"
_TRACKING_OFF = f"tracking is disabled (tracking_uri is `{environment.NO_TRACKING}`)"


def check_workspace_names(settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the workspace's names are complete."""
    if settings.tracking_uri is None and (missing_flags := azure_settings.find_missing_flags(settings)):
        fixes = (workspace.format_usage(missing_flags), f"--tracking-uri {environment.NO_TRACKING}")
        missing, absent = ", ".join(missing_flags), azure_settings.WORKSPACE_SETTINGS
        yield make_problem("value-missing.workspace", *fixes, where=missing_flags[0], missing=missing, absent=absent)


def check_tracking_uri(settings: OsmoSettings) -> Iterator[Problem]:
    """Check that a pod can reach the tracking URI and that it contains no secret."""
    tracking_uri = settings.tracking_uri
    if not tracking_uri or tracking_uri == environment.NO_TRACKING:
        return
    expected_form = "the URL of an MLflow server, or `none`"
    make_invalid = functools.partial(make_invalid_value_problem, "--tracking-uri", tracking_uri, expected_form)
    if workspace.parse_tracking_uri(tracking_uri):
        return
    try:
        address = urlsplit(tracking_uri)
    except ValueError:
        yield make_invalid("MLflow cannot open it.")
        return
    if address.scheme.lower() not in ("https", "http") or not address.hostname:
        reason = "It is not the URL of a server. The pod's disk is deleted when the run ends."
        yield make_invalid(reason, SERVER_HINT, workspace.WORKSPACE_USAGE)
    elif "@" in address.netloc or address.query or address.fragment:
        bare_address = address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
        yield make_invalid("The plan and the run's record would contain it.", f"--tracking-uri {bare_address}")


def check_tracking(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the run is tracked, which registering a model needs."""
    is_incomplete = settings.tracking_uri is None and azure_settings.find_missing_flags(settings)  # reported already
    if is_incomplete or environment.get_tracking_uri(settings):
        return
    is_disabled = settings.tracking_uri == environment.NO_TRACKING
    fixes = suggest_tracking(settings)
    parameter = job.profile.outputs.register_parameter
    if model := dict(job.parameters).get(parameter):
        reason = _TRACKING_OFF if is_disabled else "the run is not tracked"
        flag = f"--{parameter.replace('_', '-')}"
        yield make_problem("value-missing.registry", *fixes, where=flag, given=str(model), reason=reason)
    elif not is_disabled:
        yield make_problem("osmo-untracked", *fixes, no_tracking=environment.NO_TRACKING)


def suggest_tracking(settings: OsmoSettings) -> Iterator[str]:
    """Yield options that enable tracking; if it is disabled, the workspace's names have no effect."""
    if settings.tracking_uri == environment.NO_TRACKING:
        target = azure_settings.get_workspace(settings) or Workspace("SUBSCRIPTION", "GROUP", "WORKSPACE")
        yield f"--tracking-uri {target.tracking_uri}"
    else:
        yield workspace.WORKSPACE_USAGE
    yield SERVER_HINT


TRACKED_KINDS = ("registered_model", "mlflow_run")
MODEL_FLAGS = {"policy": POLICY_MODEL.flag, "reference": REFERENCE_MODEL.flag, "checkpoint": CHECKPOINT.flag}


def check_models(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the container can find each model, given the job's tracking URI."""
    tracking_uri = environment.get_tracking_uri(settings)
    target = workspace.parse_tracking_uri(tracking_uri)
    for source in job.sources:
        if source.role not in MODEL_FLAGS:
            continue
        flag = MODEL_FLAGS[source.role]
        if source.kind == "model_asset":
            from robotrain_azure.models import container

            try:
                container.parse_model_name(source.uri, target)
            except container.ModelNameError as error:
                fix = error.suggestion and f"{flag} {error.suggestion}"
                yield make_problem(
                    "value-invalid.model",
                    fix,
                    where=flag,
                    given=source.uri,
                    uri=source.uri,
                    why=error.reason,
                )
        elif source.kind in TRACKED_KINDS and not tracking_uri:
            ways = suggest_tracking(settings)
            yield make_problem("value-missing.registry-to-look-in", *ways, where=flag, given=source.uri, uri=source.uri)


POD_DISK_NOTE = "The pod's disk is deleted when the run ends."


def check_publishing(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check where the run publishes checkpoints or results."""
    parameters = dict(job.parameters)
    url = str(parameters.get(PUBLISH_PARAMETER) or "")
    tracking = environment.get_tracking_uri(settings)
    is_resumable = job.profile.outputs.resumable
    credential = "" if settings.hf_credential else " --hf-credential NAME"
    to_hub = Suggestion(f"--publish-url {HUB_FORM}{credential}", "a model repository of the Hub")
    others = (to_hub,) if is_resumable else () if tracking else suggest_tracking(settings)
    disk = LostDisk(
        why=POD_DISK_NOTE,
        ways=(f"--publish-url {BLOB_URL_FORM}", *others),
        has_registry=bool(tracking),
        keeps_last=settings.publish_dataset is not None,
        keeps_results=bool(tracking),
    )
    yield from check_kept_outputs(job, disk)
    if not storage.is_storage_url(url):
        return
    output = str(parameters.get("output_dir") or "")
    expected_form, reason = "a folder that OSMO can copy", "The path may contain letters, digits and `._/+=@~-`."
    yield from GUARD.check_pattern("--output-dir", output, r"[A-Za-z0-9._/+=@~-]*", expected_form, reason)
