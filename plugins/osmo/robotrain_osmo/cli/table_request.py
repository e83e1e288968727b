"""What OSMO says of a workflow that it does not take: of its pool, its credentials, its text."""

from robotrain.problem import Instead
from robotrain.redaction import redact

from robotrain_osmo.cli import message
from robotrain_osmo.cli.row import Row

SHOWN = 3


def _fields(said: str) -> str:
    """The fields that a validation refused."""
    found = [redact(field) for field in message.fields(said)]
    more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    return f"{'; '.join(found[:SHOWN])}{more}."


def _first_reason(said: str) -> str:
    """What a validation of resources complains of, without its table."""
    lines = [line for line in said.splitlines() if line and not line.startswith(("+", "|", "=", "Workflow ", " "))]
    told = [line for line in lines if "Resource validation failed" not in line and "osmo resource list" not in line]
    return f"{redact(told[0]).rstrip('.')}." if told else ""


DATA = (
    Row(
        code="osmo-bucket-unknown",
        pattern=r"Bucket (\S+) is not set in the configs",
        title="OSMO knows no bucket {1}",
        where="--dataset-bucket",
        instead=(Instead("--dataset-bucket NAME", "`osmo bucket list` shows them"),),
    ),
    Row(
        code="osmo-dataset-unknown",
        pattern=r"(?:Could not find dataset or collection|Dataset/Collection) (\S+) [^\n]*in bucket (\S+?)\.?$",
        title="OSMO has no such dataset {1} in the bucket {2}",
        where="--dataset-name",
        instead=(
            Instead("osmo dataset list", "shows those that there are"),
            Instead("--dataset-bucket NAME", "`osmo bucket list` shows them"),
        ),
    ),
)

PLACE = (
    Row(
        code="osmo-pool-missing",
        pattern=r"No default pool set",
        title="no pool is named",
        where="--pool",
        instead=(Instead("--pool NAME", "`osmo pool list` shows them"),),
    ),
    Row(
        code="osmo-pool-unknown",
        pattern=r"Pool (\S+?) not found",
        title="there is no pool {1}",
        where="--pool",
        instead=(Instead("osmo pool list", "shows the pools that you may use"),),
    ),
    Row(
        code="osmo-pool-closed",
        pattern=r"Pool (\S+) is undergoing maintenance",
        title="the pool {1} is closed for maintenance",
        where="--pool",
        instead=(Instead("--pool NAME", "another pool: `osmo pool list` shows them"),),
    ),
    Row(
        code="osmo-platform-unknown",
        pattern=r"Platform (\S+) does not exist in pool (\S+?)!?$",
        title="the pool {2} has no platform {1}",
        where="--gpu-platform",
        instead=(Instead("osmo pool list -t json", "shows the platforms of each pool"),),
    ),
    Row(
        code="osmo-platform-empty",
        pattern=r"There are no resources in platform (\S+) and\s+pool (\S+?)!?$",
        title="the platform {1} of the pool {2} has no machine",
        where="--gpu-platform",
        instead=(Instead("osmo resource list --pool {2}", "shows the machines that there are"),),
    ),
    Row(
        code="osmo-mount-refused",
        pattern=r"does not allow mount: (\S+?)\.?(?: Task|\s|$)",
        title="this platform does not let a task use the machine's {1}",
        where="--shared-memory",
        instead=(Instead("--shared-memory none", "data is loaded in one process"),),
    ),
    Row(
        code="osmo-mount-there",
        pattern=r"Mount (\S+) is already provided by platform (\S+)",
        title="the platform {2} brings {1} by itself, and refuses to be asked for it",
        where="--shared-memory",
        instead=(Instead("--shared-memory none", "with --num-workers N data is loaded in several processes there"),),
    ),
    Row(
        code="osmo-priority-refused",
        pattern=r"Backend (\S+) does not support priority",
        title="the machines of this pool know no priority",
        where="--priority",
        instead=(Instead("--priority NORMAL", "or none"),),
    ),
    Row(
        code="osmo-quota",
        pattern=r"Pool (\S+) has (\d+) GPUs\s+guaranteed for NORMAL/HIGH",
        title="the pool {1} guarantees {2} GPUs, and more are asked for",
        where="--gpus",
        instead=(
            Instead("--priority LOW", "may use what others leave free, and is stopped when they need it"),
            Instead("--gpus {2}", "what is guaranteed"),
        ),
    ),
    Row(
        code="osmo-too-many-runs",
        pattern=r"cannot submit more than\s+(\d+) ongoing (\w+)",
        title="OSMO lets you have {1} {2} at a time, and you have as many",
        instead=(Instead("osmo workflow list -s PENDING RUNNING WAITING", "shows them"),),
    ),
    Row(
        code="osmo-resources-refused",
        pattern=r"Resource validation failed for task",
        title="no machine of this platform has what the task asks for",
        where="--gpus, --cpu, --memory, --storage",
        why_of=_first_reason,
        instead=(Instead("osmo resource list", "shows what the machines have"),),
    ),
    Row(
        code="osmo-resources-refused",
        pattern=r"Resource (\w+) field has invalid (unit|value):? ?(\S*)",
        title="OSMO does not read this as an amount of {1}: {3}",
        where="--{1}",
        instead=(Instead("--{1} 48Gi", "a number and Ki, Mi, Gi or Ti"),),
    ),
)

CREDENTIALS = (
    Row(
        code="osmo-credential-missing",
        pattern=r"Could not find the credential: (\S+?)\.?$",
        title="OSMO holds no credential {1} of yours",
        instead=(Instead("osmo credential set {1} --type GENERIC --payload-file KEY=/path/to/file", "makes it"),),
    ),
    Row(
        code="osmo-credential-key",
        pattern=r"(\S+) is not a valid credential key\s+please choose from (?:dict_keys\()?\[?([^)\]\n]*)",
        title="the credential has no key {1}",
        why="It has {2}.",
        instead=(
            Instead("osmo credential set NAME --type GENERIC --payload-file {1}=/path/to/file", "sets it anew, whole"),
        ),
    ),
    Row(
        code="osmo-data-credential-missing",
        pattern=r"(?:Could not find|No credentials configured for) (\S+://\S+)",
        title="OSMO holds no credential of yours for {1}",
        instead=(
            Instead(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE holds one value; the endpoint is {1}",
            ),
        ),
    ),
    Row(
        code="osmo-data-credential-refused",
        pattern=r"Data (?:auth|key) validation error: ?([^\n]*)",
        title="the storage refuses the credential that OSMO holds for it",
        why="{1}",
        instead=(Instead("osmo credential list", "shows which there are"),),
    ),
    Row(
        code="osmo-image-refused",
        pattern=r"Unable to authenticate for pulling image (\S+?)\.? Please create a credential matching (\S+)",
        title="OSMO cannot read the image {1}",
        where="--image",
        why="There is no such image, or its registry asks who you are.",
        instead=(
            Instead(
                "osmo credential set NAME --type REGISTRY --payload-file registry=FILE username=FILE auth=FILE",
                "each FILE holds one value; the registry is {2}",
            ),
        ),
    ),
)

SPEC = (
    Row(
        code="osmo-render-time",
        pattern=r"exceeded time limit of ([\d.]+) seconds|Jinja substitution failure.*TimeoutError",
        title="OSMO gives itself half a second to read a workflow, and that was not enough",
        why="It depends on how busy the service is, and on the workflow's size.",
        instead=(Instead("the same command", "a little later"),),
        patience=1.0,
    ),
    Row(
        code="osmo-spec-too-large",
        pattern=r"Jinja.*(?:MemoryError|memory)|Request Entity Too Large|^HTTP 413$",
        title="the workflow is too large for this OSMO service",
        instead=(Instead("--storage-account NAME", "what is large is uploaded there instead of being sent along"),),
    ),
    Row(
        code="osmo-spec-refused",
        pattern=r"validation errors? for |^\{\"detail\": ?\[",
        title="OSMO does not accept the workflow",
        why_of=_fields,
        instead=(
            Instead("--server VERSION", "when the service is of another version: `osmo version` shows it"),
            Instead("robotrain render … --to FOLDER", "shows what would be sent"),
        ),
    ),
    Row(
        code="osmo-spec-refused",
        pattern=r"(Jinja [Tt]emplate [Ee]rror[^\n]*|Jinja substitution failure[^\n]*|Workflow spec [^\n]*|"
        r"(?:Unknown|Duplicate) top-level key[^\n]*|Name \S+ is too long[^\n]*|Requesting undefined resource[^\n]*|"
        r"[^\n]*exists before itself[^\n]*|Unknown URI scheme[^\n]*|Cannot recognize duration[^\n]*)",
        title="OSMO does not accept the workflow",
        why="{1}",
        instead=(Instead("robotrain render … --to FOLDER", "shows what would be sent"),),
    ),
)

ROWS = (*DATA, *PLACE, *CREDENTIALS, *SPEC)
