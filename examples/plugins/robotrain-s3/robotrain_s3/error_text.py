"""Error messages of S3: a sentence that names bucket and store, with what helps."""

from botocore import exceptions
from robotrain_runtime.plugin import PermanentError

from robotrain_s3.address import S3Prefix
from robotrain_s3.store import S3Error

SET_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on the machine that reads it,"
    " or give that machine a role"
)
ALLOW_READ = "allow it s3:ListBucket on the bucket and s3:GetObject below the prefix"
CHANGED, REPIN = "what is below {at} has changed since it was pinned", "robotrain resubmit RUN --repin"
ALLOW_WRITE = f"{ALLOW_READ}, and s3:PutObject and s3:DeleteObject there"
REJECTED_KEYS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
)
_WRITE_WORDING = (
    (" could not be read", " could not be written to"),
    (" may not read ", " may not write to "),
    (" to read ", " to write to "),
    (" that reads it,", " that writes it,"),
    (ALLOW_READ, ALLOW_WRITE),
)
"""Words of a read error, and those of a write error in their place."""
_UNREACHABLE = (exceptions.HTTPClientError, exceptions.ConnectionError)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
)


def make_read_error(error: Exception, at: S3Prefix) -> S3Error:
    """Return what boto3 raised as an error with a sentence and a fault. Raise any other error again."""
    store = f"the store at {at.endpoint}" if at.endpoint else "Amazon S3"
    if isinstance(error, S3Error):
        return error
    if isinstance(error, _NO_CREDENTIALS):
        why = "" if isinstance(error, exceptions.NoCredentialsError) else f" ({_get_first_line(error)})"
        return S3Error(f"there are no AWS credentials to read {at} with{why}", "configuration", SET_KEYS)
    if isinstance(error, exceptions.ClientError):
        return _make_response_error(error, at, store)
    if isinstance(error, (*_UNREACHABLE, exceptions.IncompleteReadError)):
        return S3Error(f"{store} cannot be reached, or the connection was lost ({type(error).__name__})", "network")
    if isinstance(error, TimeoutError):
        return S3Error(str(error), "network")
    if isinstance(error, exceptions.BotoCoreError):
        return S3Error(f"{at} could not be read ({type(error).__name__}: {_get_first_line(error)})", "configuration")
    raise error


def make_write_error(error: Exception, at: S3Prefix) -> Exception:
    """Return an OSError with the same sentence about writing, in one line. PermanentError and any other OSError stay
    as they are.
    """
    if isinstance(error, PermanentError) or (isinstance(error, OSError) and not isinstance(error, TimeoutError)):
        return error
    sentence = str(make_read_error(error, at))
    for read, write in _WRITE_WORDING:
        sentence = sentence.replace(read, write)
    return OSError(sentence)


def _make_response_error(error: exceptions.ClientError, at: S3Prefix, store: str) -> S3Error:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        remedy = "aws s3 ls" + (f" --endpoint-url {at.endpoint}" if at.endpoint else "")
        return S3Error(f"{store} has no bucket {at.bucket}", "configuration", remedy, not_found=True)
    if code in REJECTED_KEYS:
        return S3Error(f"{store} does not accept the AWS credentials for {at} ({code})", "configuration", SET_KEYS)
    if code in ("PreconditionFailed", "NoSuchKey") or status in (404, 412):
        return S3Error(f"an object below {at} changed during the download", "data", "start the run again")
    if code == "InvalidObjectState":
        return S3Error(f"objects below {at} are archived", "data", "restore them first: aws s3api restore-object")
    if status in (401, 403):
        return S3Error(f"these AWS credentials may not read {at} ({code})", "configuration", ALLOW_READ)
    if status >= 500 or code in ("SlowDown", "Throttling", "RequestTimeout"):
        return S3Error(f"{store} could not answer ({code}): try again later", "network")
    return S3Error(f"{at} could not be read ({status} {code})", "configuration")


def _get_first_line(error: Exception) -> str:
    """Return the first line of boto3's message, which contains names and profiles, never keys."""
    return str(error).partition("\n")[0].rstrip(".")
