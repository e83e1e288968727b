"""What Azure refuses in a new job: a table of rules.

`of` says where each is from: `sdk`, the fields, enums and docstrings of azure-ai-ml 1.35's own client; `facts`, a
section of azureml.md (what the SDK lets through and the service or the run finds out); `contract`; `limits`, the page
on service limits of learn.microsoft.com (resource-limits-capacity); or an issue of GitHub. What Azure would only tell
when the job runs is refused here at once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azure_stand_in.ml import addresses, assets, fields
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import Refused, user_error

INPUTS = ("literal", "uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
READING = ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload")
WRITING = ("ReadWriteMount", "Upload", "Direct")
IDENTITIES = ("Managed", "AMLToken", "UserIdentity")
RUN = {"tags": (50, 100, 1000), "properties": (50, 100, 1000)}
"""How many, and how long a name and a value."""
LONGEST = {"displayName": 256, "description": 5000}
MOST = {"inputs": 200, "outputs": 20}
_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}"
_EXPERIMENT = r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,255}"
_BINDING = r"[a-zA-Z_][a-zA-Z0-9_]*"
_SHARED = r"[1-9][0-9]*[bkmgBKMG]"
_DURATION = r"P(?=\d|T\d)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?"
_PLACE = r"\$\{\{(.*?)\}\}"


@dataclass(frozen=True)
class Sent:
    """A job that is to be made."""

    name: str
    whole: Mapping[str, Any]
    ml: Ml

    @property
    def properties(self) -> dict[str, Any]:
        """Those that have a value."""
        return {name: value for name, value in self.whole.get("properties", {}).items() if value is not None}

    @property
    def compute(self) -> dict[str, Any]:
        name = addresses.part(self.properties.get("computeId", ""), self.ml, "computes")
        found: dict[str, Any] = self.ml.computes.get(name.lower(), {})
        return found

    @property
    def resources(self) -> dict[str, Any]:
        return self.properties.get("resources") or {}


@dataclass(frozen=True)
class Rule:
    """finds: what is wrong, in sentences. inner: the code of it."""

    of: str
    finds: Callable[[Sent], Iterator[str]]
    inner: str = "BadArgument"


def judge(name: str, sent: Mapping[str, Any], ml: Ml) -> None:
    """Raises Refused with all that is wrong by the first rule that finds anything."""
    for rule in RULES.values():
        if found := list(rule.finds(Sent(name, sent, ml))):
            raise user_error(" ".join(found), rule.inner)


def _name(job: Sent) -> Iterator[str]:
    if not re.fullmatch(_NAME, job.name):
        yield (
            f"Job name '{job.name}' is invalid. It must start with a letter or number and can only contain letters,"
            " numbers, underscores, and dashes, with a maximum of 255 characters."
        )


def _fields(job: Sent) -> Iterator[str]:
    yield from (f"Could not find member '{name}' on object of type 'Job'." for name in {*job.whole} - {"properties"})
    if not isinstance(job.whole.get("properties"), dict):
        yield "The field properties is required."
    else:
        yield from fields.wrong(job.whole["properties"])


def _kind(job: Sent) -> Iterator[str]:
    if job.properties.get("jobType") != "Command":
        yield f"The job type {job.properties.get('jobType')!r} is none that this stand-in runs: it runs Command."
    if job.properties.get("limits") and job.properties["limits"].get("jobLimitsType") != "Command":
        yield "The limits of a command job have the jobLimitsType Command."


def _command(job: Sent) -> Iterator[str]:
    if not job.properties.get("command", "").strip():
        yield "The command field is required."


def _code(job: Sent) -> Iterator[str]:
    code = job.properties.get("codeId")
    if code is None:
        return
    found = addresses.asset(code, job.ml)
    if found is None or found.version not in job.ml.codes.get(found.name.lower(), {}):
        yield f"The code {code} was not found."


def _environment(job: Sent) -> Iterator[str]:
    environment = job.properties.get("environmentId", "")
    if environment.startswith(("azureml://registries/", "azureml:AzureML-")):  # the SDK sends these as they are
        return
    found = addresses.asset(environment, job.ml)
    if found is None or found.kind != "environments":
        yield f"The environment '{environment}' is no version of an environment of this workspace."
    elif found.version not in job.ml.environments.get(found.name.lower(), {}):
        yield f"Environment {found.name} with version {found.version} was not found."


def _compute(job: Sent) -> Iterator[str]:
    compute = job.properties.get("computeId", "")
    if not job.compute:
        yield f"Unknown compute target '{compute.rpartition('/')[2]}'."
    elif (state := job.compute["properties"]["provisioningState"]) != "Succeeded":
        yield f"The compute target '{job.compute['name']}' cannot be used: it is {state}."


def _instances(job: Sent) -> Iterator[str]:
    kind, inner = job.compute["properties"]["computeType"], job.compute["properties"]["properties"]
    asked = job.resources.get("instanceType")
    if kind == "Kubernetes":
        if asked is not None and asked not in inner["instanceTypes"]:
            yield f"AML Kubernetes Compute job failed. 9: Invalid instance type. There is no {asked!r}."
    elif asked is not None:
        yield f"The instance type {asked!r} cannot be said for the compute target '{job.compute['name']}'."
    count = job.resources.get("instanceCount", 1)
    most = (inner.get("scaleSettings") or {}).get("maxNodeCount", count)
    if not 1 <= count <= most:
        yield f"The instance count {count} is not between 1 and {most}."


def _distribution(job: Sent) -> Iterator[str]:
    """Of several nodes it is that of PyTorch with one process each, which robotrain relies on; else there is none."""
    given, count = job.properties.get("distribution"), job.resources.get("instanceCount", 1)
    if given is None:
        if count > 1:
            yield f"A job with {count} instances has no distribution: each of them would do all of its work."
        return
    if str(given.get("distributionType")).lower() not in ("pytorch", "mpi", "tensorflow"):
        yield f"The distribution type {given.get('distributionType')!r} is not supported."
    elif given["distributionType"].lower() != "pytorch" or given.get("processCountPerInstance") != 1:
        yield f"The distribution {given} is none that this stand-in starts: it starts PyTorch, with one process a node."


def _shared(job: Sent) -> Iterator[str]:
    size = job.resources.get("shmSize")
    if size is not None and not re.fullmatch(_SHARED, size):
        yield f"The shmSize {size!r} is no (number)(unit), where the unit is one of b, k, m, g."


def _timeout(job: Sent) -> Iterator[str]:
    timeout = (job.properties.get("limits") or {}).get("timeout")
    if timeout is not None and (not re.fullmatch(_DURATION, timeout) or not re.search("[1-9]", timeout)):
        yield f"The timeout {timeout!r} is no duration in ISO 8601, of seconds or more."


def _identity(job: Sent) -> Iterator[str]:
    identity = job.properties.get("identity")
    if identity is None:
        return
    if identity.get("identityType") not in IDENTITIES:
        yield f"The identity type {identity.get('identityType')!r} is not supported."
        return
    own = job.compute.get("identity") or {}
    clients = [one["clientId"] for one in (own.get("userAssignedIdentities") or {}).values()]
    if identity["identityType"] == "Managed" and not own:
        yield f"The compute target '{job.compute['name']}' has no identity that the job could use. Identity not found."
    elif identity.get("clientId") and identity["clientId"] not in clients:
        yield f"The identity {identity['clientId']} is not assigned to the compute target. Identity not found."


def _bindings(job: Sent) -> Iterator[str]:
    for what in ("inputs", "outputs"):
        for name in job.properties.get(what) or {}:
            if not re.fullmatch(_BINDING, name):
                yield f"The name '{name}' of {what} begins with a number, or is not of letters, numbers, underscores."


def _inputs(job: Sent) -> Iterator[str]:
    for name, given in (job.properties.get("inputs") or {}).items():
        kind = given.get("jobInputType")
        if kind not in INPUTS:
            yield f"The type {kind!r} of the input {name} is not supported."
        elif kind == "literal":
            if not given.get("value"):
                yield f"The input {name} has no value."
        elif given.get("mode") is not None and given["mode"] not in READING:
            yield f"The mode {given['mode']!r} of the input {name} is not supported."
        elif not given.get("uri"):
            yield f"The input {name} has no uri."
        else:
            yield from _read(job, name, kind, given["uri"])


def _read(job: Sent, name: str, kind: str, uri: str) -> Iterator[str]:
    """Of an address: an asset that is there, of that type, or a folder that lies somewhere."""
    if "@" in uri or "/labels/" in uri:
        yield f"The uri {uri} of the input {name} names no version."
        return
    if (found := addresses.asset(uri, job.ml)) is None:
        try:
            addresses.folder(uri, job.ml)
        except Refused as no:
            yield f"The uri of the input {name} is invalid. {no.message}"
        return
    if found.kind not in assets.WHAT:
        there = None
    else:
        there = assets.find_versions(job.ml, found.kind, found.name, found.registry).get(found.version)
    if there is None:
        yield f"The {found.kind} asset {found.name} with version {found.version} was not found."
    elif there.get(assets.WHAT[found.kind][0]) != kind:
        yield f"The input {name} is a {kind}, and {found.name}:{found.version} is none."


def _outputs(job: Sent) -> Iterator[str]:
    for name, given in (job.properties.get("outputs") or {}).items():
        if given.get("jobOutputType") not in INPUTS[1:]:
            yield f"The type {given.get('jobOutputType')!r} of the output {name} is not supported."
        if given.get("mode") is not None and given["mode"] not in WRITING:
            yield f"The mode {given['mode']!r} of the output {name} is not supported."
        uri = given.get("uri")
        if uri is not None and addresses.datastore(uri, job.ml).lower() not in job.ml.datastores:
            yield f"The output {name} goes to {uri!r}, which lies in no datastore of the workspace."


def _places(job: Sent) -> Iterator[str]:
    known = {f"{what}.{name}" for what in ("inputs", "outputs") for name in job.properties.get(what) or {}}
    for found in re.findall(_PLACE, job.properties["command"]):
        if found not in known:
            yield f"The command refers to ${{{{{found}}}}}, which the job does not have."
    for name, value in (job.properties.get("environmentVariables") or {}).items():
        if re.search(_PLACE, value):
            yield f"The environment variable {name} holds an expression, which is not resolved there."


def _experiment(job: Sent) -> Iterator[str]:
    experiment = job.properties.get("experimentName")
    if experiment is not None and not re.fullmatch(_EXPERIMENT, experiment):
        yield (
            "Experiment name must be 1-256 characters, start with a letter or a number, and can only contain letters,"
            " numbers, underscores, and dashes."
        )


def _limits(job: Sent) -> Iterator[str]:
    for what, (most, longest, value) in RUN.items():
        given = job.properties.get(what) or {}
        if len(given) > most:
            yield f"A run has at most {most} {what}, and {len(given)} were given."
        for key, text in given.items():
            if not 0 < len(key) <= longest or len(text) > value:
                yield f"Names of {what} have at most {longest} characters, their values {value}: {key[:20]}."
    for what, longest in LONGEST.items():
        if len(job.properties.get(what) or "") > longest:
            yield f"The {what} of a run has at most {longest} characters."
    for what, most in MOST.items():
        if len(job.properties.get(what) or {}) > most:
            yield f"A job has at most {most} {what}."


RULES: Mapping[str, Rule] = {
    "name": Rule("contract E, brief", _name, "InvalidJobName"),
    "fields": Rule("sdk", _fields, "InvalidField"),
    "kind": Rule("sdk", _kind),
    "command": Rule("sdk: required; facts 2", _command, "RequiredField"),
    "experiment": Rule("dstoolkit-mlops-v2#179, the service's sentence", _experiment, "InvalidExperimentName"),
    "limits": Rule("limits", _limits, "LimitExceeded"),
    "code": Rule("facts 3: an ARM id, made before", _code, "NotFound"),
    "environment": Rule("facts 3: not looked at by the SDK", _environment, "NotFound"),
    "compute": Rule("facts 2 and 3: not looked at by the SDK", _compute, "UnknownTarget"),
    "instances": Rule("facts 7.4; sdk: instanceType, scaleSettings", _instances, "InvalidInstanceType"),
    "distribution": Rule("sdk: DistributionType; how-to-train-distributed-gpu", _distribution, "InvalidDistribution"),
    "shared": Rule("sdk: the docstring of shmSize; facts 2", _shared),
    "timeout": Rule("sdk: the docstring of timeout", _timeout),
    "identity": Rule("facts 7.5; sdk: IdentityConfigurationType", _identity, "IdentityNotFound"),
    "bindings": Rule("facts 2", _bindings, "InvalidBindingName"),
    "inputs": Rule("sdk: JobInputType, InputDeliveryMode; facts 2 and 3; contract C.2", _inputs, "InvalidInput"),
    "outputs": Rule("sdk: JobOutputType, OutputDeliveryMode; facts 7.6", _outputs, "InvalidOutput"),
    "places": Rule("facts 2 and 9", _places, "InvalidExpression"),
}
