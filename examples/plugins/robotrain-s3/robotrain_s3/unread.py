"""Why S3 did not give something: a sentence that names bucket and store, with its way out on a second line."""

from botocore import exceptions
from robotrain_runtime.plugin import PermanentError

from robotrain_s3.address import S3Prefix
from robotrain_s3.store import Refused

NO_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on the machine that reads it,"
    " or give that machine a role"
)
ALLOW = "allow it s3:ListBucket on the bucket and s3:GetObject below the prefix"
CHANGED = "what lies below {at} is not what lay there when it was pinned\nrobotrain resubmit RUN --repin"
ALLOW_WRITING = f"{ALLOW}, and s3:PutObject and s3:DeleteObject there"
NOT_KNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidClientTokenId")
_WRITING = (
    (" could not be read", " could not be written to"),
    (" may not read ", " may not write to "),
    (" to read ", " to write to "),
    (" that reads it,", " that writes it,"),
    (ALLOW, ALLOW_WRITING),
)
"""What is told of reading, told of writing."""
_UNREACHED = (exceptions.HTTPClientError, exceptions.ConnectionError)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
)


def of(error: Exception, at: S3Prefix) -> Refused:
    """What boto3 raised, as a sentence and whose fault it is. What is nobody's in particular is raised again."""
    store = f"the store at {at.endpoint}" if at.endpoint else "Amazon S3"
    if isinstance(error, Refused):
        return error
    if isinstance(error, _NO_CREDENTIALS):
        why = "" if isinstance(error, exceptions.NoCredentialsError) else f" ({_first(error)})"
        return Refused(f"there are no AWS credentials to read {at} with{why}\n{NO_KEYS}", "configuration")
    if isinstance(error, exceptions.ClientError):
        return _answered(error, at, store)
    if isinstance(error, (*_UNREACHED, exceptions.IncompleteReadError)):
        return Refused(f"{store} cannot be reached, or the connection broke off ({type(error).__name__})", "network")
    if isinstance(error, TimeoutError):
        return Refused(str(error), "network")
    if isinstance(error, exceptions.BotoCoreError):
        return Refused(f"{at} could not be read ({type(error).__name__}: {_first(error)})", "configuration")
    raise error


def of_writing(error: Exception, at: S3Prefix) -> Exception:
    """The same of what could not be written, in one line, as whoever writes takes it: Never, and what is nobody's in
    particular, stay as they are.
    """
    if isinstance(error, PermanentError) or (isinstance(error, OSError) and not isinstance(error, TimeoutError)):
        return error
    sentence = str(of(error, at)).replace("\n", ": ")
    for reading, writing in _WRITING:
        sentence = sentence.replace(reading, writing)
    return OSError(sentence)


def _answered(error: exceptions.ClientError, at: S3Prefix, store: str) -> Refused:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        way = "aws s3 ls" + (f" --endpoint-url {at.endpoint}" if at.endpoint else "")
        return Refused(f"{store} has no bucket {at.bucket}\n{way}", "configuration", absent=True)
    if code in NOT_KNOWN:
        return Refused(f"{store} does not accept the AWS credentials for {at} ({code})\n{NO_KEYS}", "configuration")
    if code in ("PreconditionFailed", "NoSuchKey") or status in (404, 412):
        return Refused(f"an object below {at} changed while it was fetched\nstart the run again", "data")
    if code == "InvalidObjectState":
        return Refused(f"objects below {at} are archived\nrestore them first: aws s3api restore-object", "data")
    if status in (401, 403):
        return Refused(f"these AWS credentials may not read {at} ({code})\n{ALLOW}", "configuration")
    if status >= 500 or code in ("SlowDown", "Throttling", "RequestTimeout"):
        return Refused(f"{store} could not answer ({code}): try again later", "network")
    return Refused(f"{at} could not be read ({status} {code})", "configuration")


def _first(error: Exception) -> str:
    """What boto3 says of it; it speaks of names and profiles, never of keys."""
    return str(error).partition("\n")[0].rstrip(".")
