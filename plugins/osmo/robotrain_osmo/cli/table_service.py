"""What stands between a person and an answer: the way to the service, the sign-in, the versions, the storage."""

from robotrain.problem import Instead
from robotrain.redaction import redact

from robotrain_osmo.cli import message
from robotrain_osmo.cli.row import UNKNOWN_WORKFLOW, Row

LOGIN = Instead("osmo login URL", "the address of your OSMO service; behind a VPN or a port-forward, once that is up")
STATUS = Instead("osmo version", "shows whether the service answers")

_NOT_REACHED = (
    r"[Cc]onnection refused|NewConnectionError|ConnectTimeout|NameResolution|Failed to resolve|"
    r"Name or service not known|No route to host|Network is unreachable|CERTIFICATE_VERIFY_FAILED"
)


def _of_service(said: str) -> str:
    """What the service itself says of its failure."""
    line = redact(message.first_line(said)).rstrip(". ")
    return f"It says: {line}." if line else ""


CONNECTION = (
    Row(
        code="osmo-interrupted",
        pattern=r"",
        title="the `osmo` command was interrupted",
        certain=False,
        exits=(3, -2),
    ),
    Row(
        code="osmo-busy",
        pattern="",
        title="OSMO is asked too much at this moment",
        instead=(Instead("the same command", "a little later"),),
        patience=0.5,
        exits=(75,),
    ),
    Row(
        code="osmo-unreachable",
        pattern=rf"Cannot connect to OSMO service.*(?:{_NOT_REACHED})",
        title="the OSMO service cannot be reached",
        why="Nothing was sent.",
        instead=(Instead("the VPN, or the port-forward, to the service", "must be up"), STATUS, LOGIN),
    ),
    Row(
        code="osmo-unreachable",
        pattern=r"Cannot connect to OSMO service",
        title="the connection to the OSMO service broke off",
        instead=(STATUS,),
        certain=False,
    ),
    Row(
        code="osmo-not-osmo",
        pattern=r"Error decoding JSON",
        title="a web page answered in place of the OSMO service",
        why="That is a sign-in page of your organisation, most times, or a service of another version.",
        instead=(LOGIN, Instead("osmo version", "shows which versions talk to each other")),
        certain=False,
    ),
)

SIGN_IN = (
    Row(
        code="osmo-sign-in-damaged",
        pattern=r"Traceback.*(?:utils[/.]login|login\.yaml|LoginStorage|refresh_id_token|LoginManager)",
        title="the sign-in to OSMO that is kept on this machine cannot be read",
        instead=(LOGIN,),
    ),
    Row(
        code="osmo-signed-out",
        pattern=r"Must login first|Must be logged in",
        title="you are not signed in to OSMO",
        instead=(LOGIN,),
    ),
    Row(
        code="osmo-signed-out",
        pattern=r"re-login with|please login again|no refresh token is present|[Jj]wt (?:is|has) (?:missing|expired)|"
        r"Jwt verification fails|Access token \S+ has expired|Unable to refresh login token|^HTTP 401$",
        title="your sign-in to OSMO ran out",
        instead=(LOGIN,),
    ),
    Row(
        code="osmo-forbidden",
        pattern=r"RBAC: access denied|^HTTP 403$",
        title="OSMO does not let you do this",
        why="Who you are signed in as has no role for it, or none for this pool.",
        instead=(Instead("osmo profile list", "shows your user, its roles and its pools"), LOGIN),
    ),
)

VERSIONS = (
    Row(
        code="osmo-client-old",
        pattern=r"client is out of date[^\n]*?(?:Client version is (\S+) but the newest client version is (\S+?)\.?$)?",
        title="this `osmo` command is too old for the service",
        instead=(Instead("osmo version", "shows both; OSMO's own install command brings the new one"),),
    ),
    Row(
        code="osmo-usage",
        pattern=r"^osmo[\w .-]*: error: ([^\n]*)|error parsing the arguments|error: (unrecognized arguments[^\n]*)",
        title="this `osmo` command does not take what robotrain says to it",
        why="{1}{2}",
        instead=(Instead("osmo version", "robotrain speaks to 6.0 and later"),),
    ),
    Row(
        code="osmo-versions-differ",
        pattern=r"^\{\"detail\": ?\"(?:Not Found|Method Not Allowed)\"\}",
        title="the service does not know this request",
        why="The `osmo` command and the service are of versions that do not belong together.",
        instead=(Instead("osmo version", "shows both"),),
    ),
)

SERVICE = (
    Row(
        code=UNKNOWN_WORKFLOW,
        pattern=r"Workflow (\S+) (?:is )?not found",
        title="OSMO knows no workflow {1}",
        instead=(Instead("osmo workflow list", "shows yours"),),
    ),
    Row(
        code="osmo-service-down",
        pattern=r"^HTTP (5\d\d)$",
        title="the OSMO service failed (HTTP {1})",
        why_of=_of_service,
        instead=(Instead("the same command", "a little later"),),
        certain=False,
    ),
)

STORAGE = (
    Row(
        code="osmo-storage-signed-out",
        pattern=r"NoCredentialsError|Unable to locate credentials|DefaultAzureCredential failed|"
        r"CredentialUnavailableError|ClientAuthenticationError|InvalidAuthenticationInfo",
        title="the `osmo` command on this machine has nothing to sign in to the storage with",
        instead=(
            Instead("az login", "for azure:// storage, with your own identity"),
            Instead(
                "osmo credential set NAME --type DATA --payload-file access_key_id=FILE access_key=FILE endpoint=FILE",
                "each FILE holds one value",
            ),
        ),
    ),
    Row(
        code="osmo-storage-forbidden",
        pattern=r"Authorization(?:PermissionMismatch|Failure)|not authorized to perform|AccessDenied",
        title="the storage does not let you in from this machine",
        instead=(Instead("Storage Blob Data Contributor", "the role that your identity needs on the storage account"),),
    ),
    Row(
        code="osmo-storage-unknown",
        pattern=r"ContainerNotFound|NoSuchBucket|[Tt]he specified (?:container|bucket) does not exist|"
        r"NameResolutionError|Failed to resolve",
        title="there is no such place in the storage",
    ),
)
