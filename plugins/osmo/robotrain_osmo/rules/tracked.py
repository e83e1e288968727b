"""Rules on tracking: a whole workspace, or an address that a pod can reach, or a clear no."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain.redaction import redact
from robotrain_azure import names_said, workspace
from robotrain_azure.finding import Ways, missing, warning, ways
from robotrain_azure.workspace import Workspace

from robotrain_osmo import tracking
from robotrain_osmo.rules.finding import unfit
from robotrain_osmo.settings import Settings

SERVER = "--tracking-uri https://HOST"
_OFF = f"tracking is switched off: tracking_uri is `{tracking.NONE}`"
_REGIONAL = (
    r"azureml://[^/]+/mlflow/v\d\.\d/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/?#]+)"
)


def context(settings: Settings) -> Iterator[Problem]:
    """Names that are none, and a workspace that is named in part."""
    for flag, text in names_said.wrong(settings):
        yield unfit(flag, text, names_said.WHAT, names_said.WHY)
    if settings.tracking_uri is None and (lacking := workspace.lacking(settings)):
        title = f"the workspace is named in part: {', '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} missing"
        why = "Runs are tracked in a workspace, and models registered there, when all three of its names are known."
        instead = ways(*(f"{flag} …" for flag in lacking), f"--tracking-uri {tracking.NONE}")
        yield missing("osmo-workspace-incomplete", title, lacking[0], why, instead)


def reached(settings: Settings) -> Iterator[Problem]:
    """One that a pod reaches, and that may be written into plans."""
    text = settings.tracking_uri
    if not text or text == tracking.NONE:
        return
    if named := workspace.of_address(text):
        parts = zip(workspace.FLAGS, (named.subscription, named.group, named.name), strict=True)
        if not all(names_said.is_name(flag, part) for flag, part in parts):
            yield _address(text, "It holds a character that no name in Azure has.", ways(names_said.WORKSPACE))
        return
    if found := re.fullmatch(_REGIONAL, text, re.IGNORECASE):
        subscription, group, name = found.groups()
        way = f"--subscription-id {subscription} --resource-group {group} --workspace-name {name}"
        yield _address(text, "A workspace is named by its names; which region answers for it is asked.", ways(way))
        return
    try:
        address = urlsplit(text)
    except ValueError:
        yield _address(text, "MLflow could not open it.")
        return
    if address.scheme.lower() not in ("https", "http") or not address.hostname:
        why = "It is no address of a server: the disk of a pod is gone when it ends, with what was tracked there."
        yield _address(text, why, ways(SERVER, names_said.WORKSPACE))
    elif "@" in address.netloc or address.query or address.fragment:
        bare = address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
        yield _address(text, "It is written into the plan and the record of the run.", ways(f"--tracking-uri {bare}"))


def anywhere(job: Job, settings: Settings) -> Iterator[Problem]:
    """Whether the run is tracked at all, and a model that could not be registered."""
    if tracking.uri(settings) or (settings.tracking_uri is None and workspace.lacking(settings)):
        return
    off = settings.tracking_uri == tracking.NONE
    named = workspace.of(settings)
    instead = ways(*to_track(settings))
    parameter = job.profile.outputs.register_parameter
    if model := dict(job.parameters).get(parameter):
        title = "there is no registry to register a model in"
        why = f"Models are registered where the run is tracked, and {_OFF if off else 'it is tracked nowhere'}."
        flag = f"--{parameter.replace('_', '-')}"
        yield missing("osmo-no-registry", title, flag, why, instead, str(model))
    elif off and named:
        title = f"the run is not tracked in the workspace {redact(named.name)}, though it is named"
        yield warning("osmo-workspace-unused", title, "--tracking-uri", f"{_OFF[0].upper()}{_OFF[1:]}.", instead)
    elif not off:
        why = "No workspace is known, and no MLflow address."
        quiet = ways(f"--tracking-uri {tracking.NONE}")
        yield warning("osmo-untracked", "the run is not tracked", "--workspace-name", why, instead + quiet)


def to_track(settings: Settings) -> Iterator[str]:
    """What to type for a run to be tracked. Where that is switched off names do not do: they count for nothing then."""
    if settings.tracking_uri == tracking.NONE:
        address = workspace.of(settings) or Workspace("SUBSCRIPTION", "GROUP", "WORKSPACE")
        yield f"--tracking-uri {address.tracking_uri}"
    else:
        yield names_said.WORKSPACE
    yield SERVER


def _address(text: str, why: str, instead: Ways = ()) -> Problem:
    return unfit("--tracking-uri", text, "the address of an MLflow server, or `none`", why, instead)
