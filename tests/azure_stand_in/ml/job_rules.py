"""What Azure refuses in a new job, each with the code that its answer names. The fields themselves are the SDK's, which
writes them; it lets the rest through, as azureml.md 2, 3 and 7 tell, and the service or the run finds it out.

Limits are those of learn.microsoft.com (resource-limits-capacity). What Azure would only tell when the job runs is
refused here at once.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from azure_stand_in.ml import addresses, assets
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import Refused, user_error

Found = Iterator[tuple[str, str]]
"""A code, and a sentence."""
READING = ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload")
WRITING = ("ReadWriteMount", "Upload", "Direct")
MOST = {"tags": 50, "properties": 50, "inputs": 200, "outputs": 20, "displayName": 256, "description": 5000}
"""Entries, or characters."""
PATTERNS = {
    "name": r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}",
    "experiment": r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,255}",
    "binding": r"[a-zA-Z_][a-zA-Z0-9_]*",
    "memory": r"[1-9][0-9]*[bkmgBKMG]",
    "duration": r"(?=.*[1-9])P(?=\d|T\d)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?",
}
_PLACE = r"\$\{\{(.*?)\}\}"


def judge(problems: Found, what: str = "") -> None:
    """Raise Refused with all that is wrong under the first code. what: of a larger job, the part that is wrong."""
    for code, wrong in itertools.groupby(problems, key=itemgetter(0)):
        raise user_error(what + " ".join(sentence for _, sentence in wrong), code)


def find_wrong(name: str, properties: Mapping[str, Any], ml: Ml) -> Found:
    """Of a command job."""
    job = {key: value for key, value in properties.items() if value is not None}
    compute = ml.computes.get(addresses.part(job.get("computeId", ""), ml, "computes").lower())
    yield from find_wrong_texts(name, job)
    yield from _find_wrong_links(job, ml)
    if compute is None:
        yield "UnknownTarget", f"Unknown compute target '{job.get('computeId', '').rpartition('/')[2]}'."
    elif (state := compute["properties"]["provisioningState"]) != "Succeeded":
        yield "UnknownTarget", f"The compute target '{compute['name']}' cannot be used: it is {state}."
    else:
        yield from _find_wrong_resources(job, compute)
    yield from _find_wrong_inputs(job, ml)
    yield from _find_wrong_outputs(job, ml)
    yield from _find_wrong_places(job)


def find_wrong_texts(name: str, job: Mapping[str, Any]) -> Found:
    """Of any job: a command, a pipeline, a sweep."""
    rule = "start with a letter or number and can only contain letters, numbers, underscores, and dashes"
    if not re.fullmatch(PATTERNS["name"], name):
        yield "InvalidJobName", f"Job name '{name}' is invalid. It must {rule}, with a maximum of 255 characters."
    if not re.fullmatch(PATTERNS["experiment"], job.get("experimentName") or "Default"):
        yield "InvalidExperimentName", f"Experiment name must be 1-256 characters, {rule}."  # mlops-v2#179
    for what, most in MOST.items():
        if len(job.get(what) or "") > most:
            yield "LimitExceeded", f"The {what} of a job are at most {most}."
    for key, text in [*(job.get("tags") or {}).items(), *(job.get("properties") or {}).items()]:
        if not 0 < len(key) <= 100 or len(text) > 1000:
            yield "LimitExceeded", f"Names have at most 100 characters, their values 1000: {key[:20]}."
    memory, timeout = (job.get("resources") or {}).get("shmSize"), (job.get("limits") or {}).get("timeout")
    if memory is not None and not re.fullmatch(PATTERNS["memory"], memory):
        yield "InvalidShmSize", f"The shmSize {memory!r} is no (number)(unit), where the unit is one of b, k, m, g."
    if timeout is not None and not re.fullmatch(PATTERNS["duration"], timeout):
        yield "InvalidTimeout", f"The timeout {timeout!r} is no duration in ISO 8601, of seconds or more."


def _find_wrong_links(job: Mapping[str, Any], ml: Ml) -> Found:
    """Command, code and environment, which the SDK does not look for."""
    if not job.get("command", "").strip():
        yield "RequiredField", "The command field is required."
    for field, kind in (("codeId", "codes"), ("environmentId", "environments")):
        link = job.get(field, "")
        is_azures = link.startswith(("azureml://registries/", "azureml:AzureML-"))  # which the SDK sends as they are
        if (link or kind == "environments") and not is_azures and not assets.has_version(ml, kind, link):
            yield "NotFound", f"The {field} {link} was not found."


def _find_wrong_resources(job: Mapping[str, Any], compute: Mapping[str, Any]) -> Found:
    """Of what the compute is asked for: machines, processes, an identity."""
    kind, inner = compute["properties"]["computeType"], compute["properties"]["properties"]
    resources = job.get("resources") or {}
    instance_type, count = resources.get("instanceType"), resources.get("instanceCount", 1)
    if instance_type is not None and instance_type not in inner.get("instanceTypes", ()):
        start = "AML Kubernetes Compute job failed. 9: " if kind == "Kubernetes" else ""
        yield "InvalidInstanceType", f"{start}Invalid instance type. There is no {instance_type!r}."
    most = inner.get("scaleSettings", {}).get("maxNodeCount", count)
    if not 1 <= count <= most:
        yield "InvalidInstanceCount", f"The instance count {count} is not between 1 and {most}."
    distribution = job.get("distribution") or {}
    started = (str(distribution.get("distributionType")).lower(), distribution.get("processCountPerInstance")) == (
        "pytorch",
        1,
    )
    if not started and (distribution or count > 1):
        yield "InvalidDistribution", f"{count} instances start as PyTorch with one process each, not as {distribution}."
    identity, own = job.get("identity") or {}, compute.get("identity") or {}
    clients = [user_identity["clientId"] for user_identity in own.get("userAssignedIdentities", {}).values()]
    if identity.get("identityType", "Managed") not in ("Managed", "AMLToken", "UserIdentity"):
        yield "IdentityNotFound", f"The identity type {identity['identityType']!r} is not supported."
    elif identity.get("identityType") == "Managed" and not own:
        yield "IdentityNotFound", f"The compute target '{compute['name']}' has no identity. Identity not found."
    elif identity.get("clientId") and identity["clientId"] not in clients:
        yield "IdentityNotFound", f"{identity['clientId']} is not assigned to the compute target. Identity not found."


def _find_wrong_inputs(job: Mapping[str, Any], ml: Ml) -> Found:
    for name, job_input in (job.get("inputs") or {}).items():
        yield from _find_wrong_name(name)
        if job_input["jobInputType"] == "literal":
            if not job_input.get("value"):
                yield "InvalidInput", f"The input {name} has no value."
        elif (job_input.get("mode") or READING[0]) not in READING or not job_input.get("uri"):
            yield (
                "InvalidInput",
                f"The input {name} has no uri, or its mode {job_input.get('mode')!r} is not supported.",
            )
        elif (asset := addresses.asset(job_input["uri"], ml)) is None:
            try:
                addresses.folder(job_input["uri"], ml)
            except Refused as no:
                yield "InvalidInput", f"The uri of the input {name} is invalid. {no.message}"
        elif asset.kind not in ("data", "models"):
            yield "InvalidInput", f"The uri of the input {name} is invalid: {job_input['uri']}."
        else:
            there = assets.find_versions(ml, asset.kind, asset.name, asset.registry).get(asset.version, {})
            if there.get(assets.KINDS[asset.kind].type) != job_input["jobInputType"]:
                yield (
                    "InvalidInput",
                    f"There is no {job_input['jobInputType']} {asset.name}:{asset.version} for {name}.",
                )


def _find_wrong_outputs(job: Mapping[str, Any], ml: Ml) -> Found:
    for name, job_output in (job.get("outputs") or {}).items():
        yield from _find_wrong_name(name)
        if (job_output.get("mode") or WRITING[0]) not in WRITING:
            yield "InvalidOutput", f"The mode {job_output['mode']!r} of the output {name} is not supported."
        if job_output.get("uri") and addresses.datastore(job_output["uri"], ml).lower() not in ml.datastores:
            yield "InvalidOutput", f"The output {name} goes to {job_output['uri']}, which lies in no datastore."


def _find_wrong_name(name: str) -> Found:
    if not re.fullmatch(PATTERNS["binding"], name):
        yield "InvalidBindingName", f"The name '{name}' begins with a number, or is not of letters, numbers, _."


def _find_wrong_places(job: Mapping[str, Any]) -> Found:
    references = {f"{what}.{name}" for what in ("inputs", "outputs") for name in job.get(what) or {}}
    for reference in re.findall(_PLACE, job.get("command", "")):
        if reference not in references:
            yield "InvalidExpression", f"The command refers to ${{{{{reference}}}}}, which the job does not have."
    for name, value in (job.get("environmentVariables") or {}).items():
        if re.search(_PLACE, value):
            yield "InvalidExpression", f"The environment variable {name} holds an expression, which stays as it is."
