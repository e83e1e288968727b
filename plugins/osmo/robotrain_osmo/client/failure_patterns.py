"""Error texts of OSMO 6.0 to 6.4 and what they mean; the first pattern that matches counts.

The texts are those of OSMO 6.0 to 6.4, its command and its service.
"""

from robotrain.errors import Suggestion
from robotrain.redaction import redact

from robotrain_osmo.client import failures
from robotrain_osmo.client.failures import UNKNOWN_WORKFLOW_CODE, FailurePattern

LOGIN_SUGGESTION = Suggestion(
    "osmo login URL", "the address of your OSMO service; behind a VPN or a port-forward, once that is up"
)
VERSION_SUGGESTION = Suggestion("osmo version", "shows whether the service answers")

_UNREACHABLE = (
    r"[Cc]onnection refused|NewConnectionError|ConnectTimeout|NameResolution|Failed to resolve|"
    r"Name or service not known|No route to host|Network is unreachable|CERTIFICATE_VERIFY_FAILED"
)


def _quote_service(text: str) -> str:
    """What the service itself says of its failure."""
    line = redact(failures.extract_first_line(text)).rstrip(". ")
    return f"It says: {line}." if line else ""


CONNECTION_PATTERNS = (
    FailurePattern(
        code="osmo-interrupted",
        pattern=r"",
        title="the `osmo` command was interrupted",
        certain=False,
        exits=(3, -2),
    ),
    FailurePattern(
        code="osmo-busy",
        pattern="",
        title="OSMO is asked too much at this moment",
        instead=(Suggestion("the same command", "a little later"),),
        retry_delay=0.5,
        exits=(75,),
    ),
    FailurePattern(
        code="osmo-unreachable",
        pattern=rf"Cannot connect to OSMO service.*(?:{_UNREACHABLE})",
        title="the OSMO service cannot be reached",
        why="Nothing was sent.",
        instead=(
            Suggestion("the VPN, or the port-forward, to the service", "must be up"),
            VERSION_SUGGESTION,
            LOGIN_SUGGESTION,
        ),
    ),
    FailurePattern(
        code="osmo-unreachable",
        pattern=r"Cannot connect to OSMO service",
        title="the connection to the OSMO service broke off",
        instead=(VERSION_SUGGESTION,),
        certain=False,
    ),
    FailurePattern(
        code="osmo-not-osmo",
        pattern=r"Error decoding JSON",
        title="a web page answered in place of the OSMO service",
        why="That is a sign-in page of your organisation, most times, or a service of another version.",
        instead=(LOGIN_SUGGESTION, Suggestion("osmo version", "shows which versions talk to each other")),
        certain=False,
    ),
)

SIGN_IN_PATTERNS = (
    FailurePattern(
        code="osmo-sign-in-damaged",
        pattern=r"Traceback.*(?:utils[/.]login|login\.yaml|LoginStorage|refresh_id_token|LoginManager)",
        title="the sign-in to OSMO that is kept on this machine cannot be read",
        instead=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-signed-out",
        pattern=r"Must login first|Must be logged in",
        title="you are not signed in to OSMO",
        instead=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-signed-out",
        pattern=r"re-login with|please login again|no refresh token is present|[Jj]wt (?:is|has) (?:missing|expired)|"
        r"Jwt verification fails|Access token \S+ has expired|Unable to refresh login token|^HTTP 401$",
        title="your sign-in to OSMO ran out",
        instead=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-forbidden",
        pattern=r"RBAC: access denied|^HTTP 403$",
        title="OSMO does not let you do this",
        why="Who you are signed in as has no role for it, or none for this pool.",
        instead=(Suggestion("osmo profile list", "shows your user, its roles and its pools"), LOGIN_SUGGESTION),
    ),
)

VERSION_PATTERNS = (
    FailurePattern(
        code="osmo-client-old",
        pattern=r"client is out of date[^\n]*?(?:Client version is (\S+) but the newest client version is (\S+?)\.?$)?",
        title="this `osmo` command is too old for the service",
        instead=(Suggestion("osmo version", "shows both; OSMO's own install command brings the new one"),),
    ),
    FailurePattern(
        code="osmo-usage",
        pattern=r"^osmo[\w .-]*: error: ([^\n]*)|error parsing the arguments|error: (unrecognized arguments[^\n]*)",
        title="this `osmo` command does not take what robotrain says to it",
        why="{1}{2}",
        instead=(Suggestion("osmo version", "robotrain speaks to 6.0 and later"),),
    ),
    FailurePattern(
        code="osmo-versions-differ",
        pattern=r"^\{\"detail\": ?\"(?:Not Found|Method Not Allowed)\"\}",
        title="the service does not know this request",
        why="The `osmo` command and the service are of versions that do not belong together.",
        instead=(Suggestion("osmo version", "shows both"),),
    ),
)

SERVICE_PATTERNS = (
    FailurePattern(
        code=UNKNOWN_WORKFLOW_CODE,
        pattern=r"Workflow (\S+) (?:is )?not found",
        title="OSMO knows no workflow {1}",
        instead=(Suggestion("osmo workflow list", "shows yours"),),
    ),
    FailurePattern(
        code="osmo-service-down",
        pattern=r"^HTTP (5\d\d)$",
        title="the OSMO service failed (HTTP {1})",
        make_why=_quote_service,
        instead=(Suggestion("the same command", "a little later"),),
        certain=False,
    ),
)

STORAGE_PATTERNS = (
    FailurePattern(
        code="osmo-storage-signed-out",
        pattern=r"NoCredentialsError|Unable to locate credentials|DefaultAzureCredential failed|"
        r"CredentialUnavailableError|ClientAuthenticationError|InvalidAuthenticationInfo",
        title="the `osmo` command on this machine has nothing to sign in to the storage with",
        instead=(
            Suggestion("az login", "for azure:// storage, with your own identity"),
            Suggestion(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE holds one value",
            ),
        ),
    ),
    FailurePattern(
        code="osmo-storage-forbidden",
        pattern=r"Authorization(?:PermissionMismatch|Failure)|not authorized to perform|AccessDenied",
        title="the storage does not let you in from this machine",
        instead=(
            Suggestion("Storage Blob Data Contributor", "the role that your identity needs on the storage account"),
        ),
    ),
    FailurePattern(
        code="osmo-storage-unknown",
        pattern=r"ContainerNotFound|NoSuchBucket|[Tt]he specified (?:container|bucket) does not exist|"
        r"NameResolutionError|Failed to resolve",
        title="there is no such place in the storage",
    ),
)


MAX_FIELDS = 3


def _describe_field_errors(text: str) -> str:
    """The fields that a validation refused."""
    found = [redact(field) for field in failures.parse_field_errors(text)]
    more = f" (and {len(found) - MAX_FIELDS} more)" if len(found) > MAX_FIELDS else ""
    return f"{'; '.join(found[:MAX_FIELDS])}{more}."


def _extract_first_reason(text: str) -> str:
    """What a validation of resources complains of, without its table."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("+", "|", "=", "Workflow ", " "))]
    told = [line for line in lines if "Resource validation failed" not in line and "osmo resource list" not in line]
    return f"{redact(told[0]).rstrip('.')}." if told else ""


DATA_PATTERNS = (
    FailurePattern(
        code="osmo-bucket-unknown",
        pattern=r"Bucket (\S+) is not set in the configs",
        title="OSMO knows no bucket {1}",
        where="--dataset-bucket",
        instead=(Suggestion("--dataset-bucket NAME", "`osmo bucket list` shows them"),),
    ),
    FailurePattern(
        code="osmo-dataset-unknown",
        pattern=r"(?:Could not find dataset or collection|Dataset/Collection) (\S+) [^\n]*in bucket (\S+?)\.?$",
        title="OSMO has no such dataset {1} in the bucket {2}",
        where="--dataset-name",
        instead=(
            Suggestion("osmo dataset list", "shows those that there are"),
            Suggestion("--dataset-bucket NAME", "`osmo bucket list` shows them"),
        ),
    ),
)

POOL_PATTERNS = (
    FailurePattern(
        code="osmo-pool-missing",
        pattern=r"No default pool set",
        title="no pool is named",
        where="--pool",
        instead=(Suggestion("--pool NAME", "`osmo pool list` shows them"),),
    ),
    FailurePattern(
        code="osmo-pool-unknown",
        pattern=r"Pool (\S+?) not found",
        title="there is no pool {1}",
        where="--pool",
        instead=(Suggestion("osmo pool list", "shows the pools that you may use"),),
    ),
    FailurePattern(
        code="osmo-pool-closed",
        pattern=r"Pool (\S+) is undergoing maintenance",
        title="the pool {1} is closed for maintenance",
        where="--pool",
        instead=(Suggestion("--pool NAME", "another pool: `osmo pool list` shows them"),),
    ),
    FailurePattern(
        code="osmo-platform-unknown",
        pattern=r"Platform (\S+) does not exist in pool (\S+?)!?$",
        title="the pool {2} has no platform {1}",
        where="--gpu-platform",
        instead=(Suggestion("osmo pool list -t json", "shows the platforms of each pool"),),
    ),
    FailurePattern(
        code="osmo-platform-empty",
        pattern=r"There are no resources in platform (\S+) and\s+pool (\S+?)!?$",
        title="the platform {1} of the pool {2} has no machine",
        where="--gpu-platform",
        instead=(Suggestion("osmo resource list --pool {2}", "shows the machines that there are"),),
    ),
    FailurePattern(
        code="osmo-mount-refused",
        pattern=r"does not allow mount: (\S+?)\.?(?: Task|\s|$)",
        title="this platform does not let a task use the machine's {1}",
        where="--shared-memory",
        instead=(Suggestion("--shared-memory none", "data is loaded in one process"),),
    ),
    FailurePattern(
        code="osmo-mount-there",
        pattern=r"Mount (\S+) is already provided by platform (\S+)",
        title="the platform {2} brings {1} by itself, and refuses to be asked for it",
        where="--shared-memory",
        instead=(Suggestion("--shared-memory none", "with --num-workers N data is loaded in several processes there"),),
    ),
    FailurePattern(
        code="osmo-priority-refused",
        pattern=r"Backend (\S+) does not support priority",
        title="the machines of this pool know no priority",
        where="--priority",
        instead=(Suggestion("--priority NORMAL", "or none"),),
    ),
    FailurePattern(
        code="osmo-quota",
        pattern=r"Pool (\S+) has (\d+) GPUs\s+guaranteed for NORMAL/HIGH",
        title="the pool {1} guarantees {2} GPUs, and more are asked for",
        where="--gpus",
        instead=(
            Suggestion("--priority LOW", "may use what others leave free, and is stopped when they need it"),
            Suggestion("--gpus {2}", "what is guaranteed"),
        ),
    ),
    FailurePattern(
        code="osmo-too-many-runs",
        pattern=r"cannot submit more than\s+(\d+) ongoing (\w+)",
        title="OSMO lets you have {1} {2} at a time, and you have as many",
        instead=(Suggestion("osmo workflow list -s PENDING RUNNING WAITING", "shows them"),),
    ),
    FailurePattern(
        code="osmo-resources-refused",
        pattern=r"Resource validation failed for task",
        title="no machine of this platform has what the task asks for",
        where="--gpus, --cpu, --memory, --storage",
        make_why=_extract_first_reason,
        instead=(Suggestion("osmo resource list", "shows what the machines have"),),
    ),
    FailurePattern(
        code="osmo-resources-refused",
        pattern=r"Resource (\w+) field has invalid (unit|value):? ?(\S*)",
        title="OSMO does not read this as an amount of {1}: {3}",
        where="--{1}",
        instead=(Suggestion("--{1} 48Gi", "a number and Ki, Mi, Gi or Ti"),),
    ),
)

CREDENTIAL_PATTERNS = (
    FailurePattern(
        code="osmo-credential-missing",
        pattern=r"Could not find the credential: (\S+?)\.?$",
        title="OSMO holds no credential {1} of yours",
        instead=(Suggestion("osmo credential set {1} --type GENERIC --payload-file KEY=/path/to/file", "makes it"),),
    ),
    FailurePattern(
        code="osmo-credential-key",
        pattern=r"(\S+) is not a valid credential key\s+please choose from (?:dict_keys\()?\[?([^)\]\n]*)",
        title="the credential has no key {1}",
        why="It has {2}.",
        instead=(
            Suggestion(
                "osmo credential set NAME --type GENERIC --payload-file {1}=/path/to/file", "sets it anew, whole"
            ),
        ),
    ),
    FailurePattern(
        code="osmo-data-credential-missing",
        pattern=r"(?:Could not find|No credentials configured for) (\S+://\S+)",
        title="OSMO holds no credential of yours for {1}",
        instead=(
            Suggestion(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE holds one value; the endpoint is {1}",
            ),
        ),
    ),
    FailurePattern(
        code="osmo-data-credential-refused",
        pattern=r"Data (?:auth|key) validation error: ?([^\n]*)",
        title="the storage refuses the credential that OSMO holds for it",
        why="{1}",
        instead=(Suggestion("osmo credential list", "shows which there are"),),
    ),
    FailurePattern(
        code="osmo-image-refused",
        pattern=r"Unable to authenticate for pulling image (\S+?)\.? Please create a credential matching (\S+)",
        title="OSMO cannot read the image {1}",
        where="--image",
        why="There is no such image, or its registry asks who you are.",
        instead=(
            Suggestion(
                "osmo credential set NAME --type REGISTRY --payload-file registry=FILE username=FILE auth=FILE",
                "each FILE holds one value; the registry is {2}",
            ),
        ),
    ),
)

SPEC_PATTERNS = (
    FailurePattern(
        code="osmo-render-time",
        pattern=r"exceeded time limit of ([\d.]+) seconds|Jinja substitution failure.*TimeoutError",
        title="OSMO gives itself half a second to read a workflow, and that was not enough",
        why="It depends on how busy the service is, and on the workflow's size.",
        instead=(Suggestion("the same command", "a little later"),),
        retry_delay=1.0,
    ),
    FailurePattern(
        code="osmo-spec-too-large",
        pattern=r"Jinja.*(?:MemoryError|memory)|Request Entity Too Large|^HTTP 413$",
        title="the workflow is too large for this OSMO service",
        instead=(Suggestion("--storage-account NAME", "what is large is uploaded there instead of being sent along"),),
    ),
    FailurePattern(
        code="osmo-spec-refused",
        pattern=r"validation errors? for |^\{\"detail\": ?\[",
        title="OSMO does not accept the workflow",
        make_why=_describe_field_errors,
        instead=(
            Suggestion("--server VERSION", "when the service is of another version: `osmo version` shows it"),
            Suggestion("robotrain render … --to FOLDER", "shows what would be sent"),
        ),
    ),
    FailurePattern(
        code="osmo-spec-refused",
        pattern=r"(Jinja [Tt]emplate [Ee]rror[^\n]*|Jinja substitution failure[^\n]*|Workflow spec [^\n]*|"
        r"(?:Unknown|Duplicate) top-level key[^\n]*|Name \S+ is too long[^\n]*|Requesting undefined resource[^\n]*|"
        r"[^\n]*exists before itself[^\n]*|Unknown URI scheme[^\n]*|Cannot recognize duration[^\n]*)",
        title="OSMO does not accept the workflow",
        why="{1}",
        instead=(Suggestion("robotrain render … --to FOLDER", "shows what would be sent"),),
    ),
)

REQUEST_PATTERNS = (*DATA_PATTERNS, *POOL_PATTERNS, *CREDENTIAL_PATTERNS, *SPEC_PATTERNS)


FAILURE_PATTERNS: tuple[FailurePattern, ...] = (
    *CONNECTION_PATTERNS,
    *SIGN_IN_PATTERNS,
    *VERSION_PATTERNS,
    *REQUEST_PATTERNS,
    *SERVICE_PATTERNS,
    *STORAGE_PATTERNS,
)
