"""Error texts of OSMO 6.0 to 6.4 and their meaning. The first matching pattern counts."""

from robotrain.errors import Suggestion
from robotrain.redaction import redact

from robotrain_osmo.client import failures
from robotrain_osmo.client.failures import UNKNOWN_WORKFLOW_CODE, FailurePattern

LOGIN_SUGGESTION = Suggestion("osmo login URL", "the URL of your OSMO service, with the VPN or port-forward up")
VERSION_SUGGESTION = Suggestion("osmo version", "shows whether the service answers")

_UNREACHABLE = (
    r"[Cc]onnection refused|NewConnectionError|ConnectTimeout|NameResolution|Failed to resolve|"
    r"Name or service not known|No route to host|Network is unreachable|CERTIFICATE_VERIFY_FAILED"
)


def _quote_service(text: str) -> str:
    """Quote the service's message."""
    line = redact(failures.extract_first_line(text)).rstrip(". ")
    return f"The service reports: {line}." if line else ""


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
        title="OSMO has too many requests",
        suggestions=(Suggestion("the same command", "a little later"),),
        retry_delay=0.5,
        exits=(75,),
    ),
    FailurePattern(
        code="osmo-unreachable",
        pattern=rf"Cannot connect to OSMO service.*(?:{_UNREACHABLE})",
        title="the OSMO service cannot be reached",
        why="Nothing was sent.",
        suggestions=(
            Suggestion("connect the VPN or start the port-forward", "if the service needs one"),
            VERSION_SUGGESTION,
            LOGIN_SUGGESTION,
        ),
    ),
    FailurePattern(
        code="osmo-unreachable",
        pattern=r"Cannot connect to OSMO service",
        title="the connection to the OSMO service was lost",
        suggestions=(VERSION_SUGGESTION,),
        certain=False,
    ),
    FailurePattern(
        code="osmo-not-osmo",
        pattern=r"Error decoding JSON",
        title="the OSMO service answered with a web page",
        why="It is probably a sign-in page of your organization, or the service has another version.",
        suggestions=(LOGIN_SUGGESTION, Suggestion("osmo version", "shows whether command and service are compatible")),
        certain=False,
    ),
)

SIGN_IN_PATTERNS = (
    FailurePattern(
        code="osmo-sign-in-damaged",
        pattern=r"Traceback.*(?:utils[/.]login|login\.yaml|LoginStorage|refresh_id_token|LoginManager)",
        title="the stored OSMO sign-in cannot be read",
        suggestions=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-signed-out",
        pattern=r"Must login first|Must be logged in",
        title="you are not signed in to OSMO",
        suggestions=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-signed-out",
        pattern=r"re-login with|please login again|no refresh token is present|[Jj]wt (?:is|has) (?:missing|expired)|"
        r"Jwt verification fails|Access token \S+ has expired|Unable to refresh login token|^HTTP 401$",
        title="your OSMO sign-in has expired",
        suggestions=(LOGIN_SUGGESTION,),
    ),
    FailurePattern(
        code="osmo-forbidden",
        pattern=r"RBAC: access denied|^HTTP 403$",
        title="you may not do this in OSMO",
        why="Your user has no role for it, or none for this pool.",
        suggestions=(Suggestion("osmo profile list", "shows your user, its roles and its pools"), LOGIN_SUGGESTION),
    ),
)

VERSION_PATTERNS = (
    FailurePattern(
        code="osmo-client-old",
        pattern=r"client is out of date[^\n]*?(?:Client version is (\S+) but the newest client version is (\S+?)\.?$)?",
        title="this `osmo` command is too old for the service",
        suggestions=(Suggestion("osmo version", "shows both versions; install the new one as OSMO documents"),),
    ),
    FailurePattern(
        code="osmo-usage",
        pattern=r"^osmo[\w .-]*: error: ([^\n]*)|error parsing the arguments|error: (unrecognized arguments[^\n]*)",
        title="the `osmo` command does not accept robotrain's arguments",
        why="{1}{2}",
        suggestions=(Suggestion("osmo version", "robotrain needs 6.0 or later"),),
    ),
    FailurePattern(
        code="osmo-versions-differ",
        pattern=r"^\{\"detail\": ?\"(?:Not Found|Method Not Allowed)\"\}",
        title="the service does not know this request",
        why="The `osmo` command and the service have incompatible versions.",
        suggestions=(Suggestion("osmo version", "shows both versions"),),
    ),
)

SERVICE_PATTERNS = (
    FailurePattern(
        code=UNKNOWN_WORKFLOW_CODE,
        pattern=r"Workflow (\S+) (?:is )?not found",
        title="OSMO has no workflow {1}",
        suggestions=(Suggestion("osmo workflow list", "lists yours"),),
    ),
    FailurePattern(
        code="osmo-service-down",
        pattern=r"^HTTP (5\d\d)$",
        title="the OSMO service failed (HTTP {1})",
        make_why=_quote_service,
        suggestions=(Suggestion("the same command", "a little later"),),
        certain=False,
    ),
)

STORAGE_PATTERNS = (
    FailurePattern(
        code="osmo-storage-signed-out",
        pattern=r"NoCredentialsError|Unable to locate credentials|DefaultAzureCredential failed|"
        r"CredentialUnavailableError|ClientAuthenticationError|InvalidAuthenticationInfo",
        title="the `osmo` command has no credentials for the storage on this machine",
        suggestions=(
            Suggestion("az login", "for azure:// storage, with your own identity"),
            Suggestion(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE contains one value",
            ),
        ),
    ),
    FailurePattern(
        code="osmo-storage-forbidden",
        pattern=r"Authorization(?:PermissionMismatch|Failure)|not authorized to perform|AccessDenied",
        title="the storage denies access from this machine",
        suggestions=(Suggestion("Storage Blob Data Contributor", "is the role you need on the storage account"),),
    ),
    FailurePattern(
        code="osmo-storage-unknown",
        pattern=r"ContainerNotFound|NoSuchBucket|[Tt]he specified (?:container|bucket) does not exist|"
        r"NameResolutionError|Failed to resolve",
        title="the storage location does not exist",
    ),
)


MAX_FIELDS = 3


def _describe_field_errors(text: str) -> str:
    """Describe the fields that a validation refused."""
    fields = [redact(field) for field in failures.parse_field_errors(text)]
    more = f" (and {len(fields) - MAX_FIELDS} more)" if len(fields) > MAX_FIELDS else ""
    return f"{'; '.join(fields[:MAX_FIELDS])}{more}."


def _extract_first_reason(text: str) -> str:
    """Return the first reason of a resource validation, without its table."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("+", "|", "=", "Workflow ", " "))]
    reasons = [line for line in lines if "Resource validation failed" not in line and "osmo resource list" not in line]
    return f"{redact(reasons[0]).rstrip('.')}." if reasons else ""


DATA_PATTERNS = (
    FailurePattern(
        code="osmo-bucket-unknown",
        pattern=r"Bucket (\S+) is not set in the configs",
        title="OSMO has no bucket {1}",
        where="--dataset-bucket",
        suggestions=(Suggestion("--dataset-bucket NAME", "`osmo bucket list` lists them"),),
    ),
    FailurePattern(
        code="osmo-dataset-unknown",
        pattern=r"(?:Could not find dataset or collection|Dataset/Collection) (\S+) [^\n]*in bucket (\S+?)\.?$",
        title="OSMO has no dataset {1} in the bucket {2}",
        where="--dataset-name",
        suggestions=(
            Suggestion("osmo dataset list", "lists the datasets"),
            Suggestion("--dataset-bucket NAME", "`osmo bucket list` lists them"),
        ),
    ),
)

POOL_PATTERNS = (
    FailurePattern(
        code="osmo-pool-missing",
        pattern=r"No default pool set",
        title="no pool is set",
        where="--pool",
        suggestions=(Suggestion("--pool NAME", "`osmo pool list` lists them"),),
    ),
    FailurePattern(
        code="osmo-pool-unknown",
        pattern=r"Pool (\S+?) not found",
        title="there is no pool {1}",
        where="--pool",
        suggestions=(Suggestion("osmo pool list", "lists your pools"),),
    ),
    FailurePattern(
        code="osmo-pool-closed",
        pattern=r"Pool (\S+) is undergoing maintenance",
        title="the pool {1} is closed for maintenance",
        where="--pool",
        suggestions=(Suggestion("--pool NAME", "another pool: `osmo pool list` lists them"),),
    ),
    FailurePattern(
        code="osmo-platform-unknown",
        pattern=r"Platform (\S+) does not exist in pool (\S+?)!?$",
        title="the pool {2} has no platform {1}",
        where="--gpu-platform",
        suggestions=(Suggestion("osmo pool list -t json", "lists the platforms of each pool"),),
    ),
    FailurePattern(
        code="osmo-platform-empty",
        pattern=r"There are no resources in platform (\S+) and\s+pool (\S+?)!?$",
        title="the platform {1} of the pool {2} has no machines",
        where="--gpu-platform",
        suggestions=(Suggestion("osmo resource list --pool {2}", "lists the machines"),),
    ),
    FailurePattern(
        code="osmo-mount-refused",
        pattern=r"does not allow mount: (\S+?)\.?(?: Task|\s|$)",
        title="the platform does not allow mounting the machine's {1}",
        where="--shared-memory",
        suggestions=(Suggestion("--shared-memory none", "loads data in one process"),),
    ),
    FailurePattern(
        code="osmo-mount-there",
        pattern=r"Mount (\S+) is already provided by platform (\S+)",
        title="the platform {2} always mounts {1} and refuses a request for it",
        where="--shared-memory",
        suggestions=(Suggestion("--shared-memory none", "and --num-workers N to load data in several processes"),),
    ),
    FailurePattern(
        code="osmo-priority-refused",
        pattern=r"Backend (\S+) does not support priority",
        title="the machines of this pool have no priorities",
        where="--priority",
        suggestions=(Suggestion("--priority NORMAL", "or none"),),
    ),
    FailurePattern(
        code="osmo-quota",
        pattern=r"Pool (\S+) has (\d+) GPUs\s+guaranteed for NORMAL/HIGH",
        title="the pool {1} guarantees only {2} GPUs",
        where="--gpus",
        suggestions=(
            Suggestion("--priority LOW", "may use free GPUs, and is preempted if others need them"),
            Suggestion("--gpus {2}", "the guaranteed number"),
        ),
    ),
    FailurePattern(
        code="osmo-too-many-runs",
        pattern=r"cannot submit more than\s+(\d+) ongoing (\w+)",
        title="you have reached OSMO's limit of {1} concurrent {2}",
        suggestions=(Suggestion("osmo workflow list -s PENDING RUNNING WAITING", "lists them"),),
    ),
    FailurePattern(
        code="osmo-resources-refused",
        pattern=r"Resource validation failed for task",
        title="no machine of this platform has the requested resources",
        where="--gpus, --cpu, --memory, --storage",
        make_why=_extract_first_reason,
        suggestions=(Suggestion("osmo resource list", "lists the machines' resources"),),
    ),
    FailurePattern(
        code="osmo-resources-refused",
        pattern=r"Resource (\w+) field has invalid (unit|value):? ?(\S*)",
        title="OSMO does not accept this amount of {1}: {3}",
        where="--{1}",
        suggestions=(Suggestion("--{1} 48Gi", "a number with Ki, Mi, Gi or Ti"),),
    ),
)

CREDENTIAL_PATTERNS = (
    FailurePattern(
        code="osmo-credential-missing",
        pattern=r"Could not find the credential: (\S+?)\.?$",
        title="you have no OSMO credential {1}",
        suggestions=(
            Suggestion("osmo credential set {1} --type GENERIC --payload-file KEY=/path/to/file", "creates it"),
        ),
    ),
    FailurePattern(
        code="osmo-credential-key",
        pattern=r"(\S+) is not a valid credential key\s+please choose from (?:dict_keys\()?\[?([^)\]\n]*)",
        title="the credential has no key {1}",
        why="It has {2}.",
        suggestions=(
            Suggestion(
                "osmo credential set NAME --type GENERIC --payload-file {1}=/path/to/file", "replaces the credential"
            ),
        ),
    ),
    FailurePattern(
        code="osmo-data-credential-missing",
        pattern=r"(?:Could not find|No credentials configured for) (\S+://\S+)",
        title="you have no OSMO credential for {1}",
        suggestions=(
            Suggestion(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE contains one value; the endpoint is {1}",
            ),
        ),
    ),
    FailurePattern(
        code="osmo-data-credential-refused",
        pattern=r"Data (?:auth|key) validation error: ?([^\n]*)",
        title="the storage refuses your OSMO credential",
        why="{1}",
        suggestions=(Suggestion("osmo credential list", "lists your credentials"),),
    ),
    FailurePattern(
        code="osmo-image-refused",
        pattern=r"Unable to authenticate for pulling image (\S+?)\.? Please create a credential matching (\S+)",
        title="OSMO cannot pull the image {1}",
        where="--image",
        why="The image does not exist, or its registry needs a credential.",
        suggestions=(
            Suggestion(
                "osmo credential set NAME --type REGISTRY --payload-file registry=FILE username=FILE auth=FILE",
                "each FILE contains one value; the registry is {2}",
            ),
        ),
    ),
)

SPEC_PATTERNS = (
    FailurePattern(
        code="osmo-render-time",
        pattern=r"exceeded time limit of ([\d.]+) seconds|Jinja substitution failure.*TimeoutError",
        title="OSMO could not read the workflow within half a second",
        why="The service is busy or the workflow is large.",
        suggestions=(Suggestion("the same command", "a little later"),),
        retry_delay=1.0,
    ),
    FailurePattern(
        code="osmo-spec-too-large",
        pattern=r"Jinja.*(?:MemoryError|memory)|Request Entity Too Large|^HTTP 413$",
        title="the workflow is too large for this OSMO service",
        suggestions=(Suggestion("--storage-account NAME", "uploads the archive instead"),),
    ),
    FailurePattern(
        code="osmo-spec-refused",
        pattern=r"validation errors? for |^\{\"detail\": ?\[",
        title="OSMO does not accept the workflow",
        make_why=_describe_field_errors,
        suggestions=(
            Suggestion("--server VERSION", "if the service has another version: see `osmo version`"),
            Suggestion("robotrain render … --to FOLDER", "writes the workflow to a folder"),
        ),
    ),
    FailurePattern(
        code="osmo-spec-refused",
        pattern=r"(Jinja [Tt]emplate [Ee]rror[^\n]*|Jinja substitution failure[^\n]*|Workflow spec [^\n]*|"
        r"(?:Unknown|Duplicate) top-level key[^\n]*|Name \S+ is too long[^\n]*|Requesting undefined resource[^\n]*|"
        r"[^\n]*exists before itself[^\n]*|Unknown URI scheme[^\n]*|Cannot recognize duration[^\n]*)",
        title="OSMO does not accept the workflow",
        why="{1}",
        suggestions=(Suggestion("robotrain render … --to FOLDER", "writes the workflow to a folder"),),
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
