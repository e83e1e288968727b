"""Why Azure Storage did not give or take something: a sentence with account, identity and needed role.

Both of its clients are understood: the SDK's errors have a status and a code, obstore's have them in their words.
"""

import re
from collections.abc import Set

from robotrain_runtime.contract.failure import PermanentError

from robotrain_sources.blob_url.identity import READER_ROLE, BlobIdentity
from robotrain_sources.blob_url.reference import BlobPrefix
from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import (
    UNREACHABLE_PATTERN,
    FetchError,
    blame_error,
    blame_no_answer,
    format_error,
)

CHANGED_MESSAGE = (
    "what lies below {at} is not what lay there when it was pinned: blobs were added, changed or deleted since"
)
IDENTITY_HINT = (
    "sign in with `az login`, give the job a managed identity (AZURE_CLIENT_ID), or name a file with an account key, a"
    " SAS or a token"
)
FIRST_ERROR_STATUS = 400
"""The first status that is a refusal."""
UNAUTHENTICATED_CODES = ("AuthenticationFailed", "InvalidAuthenticationInfo")
"""Azure does not even know who asks."""

_ERROR_CODE = r"<Code>(\w+)</Code>"
_TRANSPORT_ERROR = r".*HTTP error: (.+)"
_SIGN_IN_REASON = (
    r"AADSTS\d+: [^.\n]*|(?:No such file or directory|Permission denied)(?:: '[^'\n]+')?"
    r"|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
)


class BlobsNotFound(FetchError):
    """What was named is not there, whoever looks."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "configuration")


def explain_blob_error(
    error: Exception, prefix: BlobPrefix, identity: BlobIdentity, role: str = READER_ROLE, remedy: str = ""
) -> FetchError:
    """What the SDK or obstore raised, as a sentence with whose fault it is. role: the one that would do.

    way: what to type to give the job an identity, where a platform has its own way.
    """
    if isinstance(error, FetchError):
        return error
    where = f"container {prefix.container} of the storage account {prefix.account}"
    kinds = {base.__name__ for base in type(error).__mro__}
    if "ClientAuthenticationError" in kinds and not hasattr(error, "error_code"):  # the sign-in's, not the account's
        return explain_no_identity(error, where, role, remedy)
    if (status := _get_status(error)) >= FIRST_ERROR_STATUS:
        return _explain_status(status, _get_error_code(error), prefix, where, (identity, role))
    if "AzureError" in kinds or _describe_transport_error(error):
        return _explain_no_answer(error, prefix, kinds)
    if isinstance(error, TimeoutError):
        return FetchError(f"the storage account {prefix.account} gave no answer in time: try again later", "network")
    fault = "network" if errors.is_transient(error) else blame_error(error)
    return FetchError(f"{where} could not be read: {format_error(error)}", fault)


def explain_no_identity(error: Exception, subject: str, role: str = READER_ROLE, remedy: str = "") -> FetchError:
    """For a sign-in that failed. where: what cannot be read. role, way: as in `of`."""
    if reason := re.search(_SIGN_IN_REASON, str(error)):
        told = f" ({reason[0]})"
    elif unreached := re.search(UNREACHABLE_PATTERN, str(error)):
        return FetchError(
            f"Azure's sign-in cannot be reached, so nobody can read {subject} ({unreached[0]}): try again later",
            "network",
        )
    else:
        told = ""
    return FetchError(
        f"there is no Azure identity to read {subject} with{told}: {remedy or IDENTITY_HINT}; an identity needs the role {role}",
        "configuration",
    )


def _explain_no_answer(error: Exception, prefix: BlobPrefix, class_names: Set[str]) -> FetchError:
    """For a request that got no answer, or a part of one. kinds: the names of the error's classes."""
    sdk = "AzureError" in class_names
    told = format_error(error) if sdk else _describe_transport_error(error)
    if "body" in told or (sdk and not {"ServiceRequestError", "ServiceResponseError"} & class_names):
        return FetchError(f"the connection to the storage account {prefix.account} broke off ({told})", "network")
    reached = f"the storage account {prefix.account} cannot be reached, or there is none of that name"
    return FetchError(f"{reached} ({told})", blame_no_answer(error))


def _explain_status(
    status: int, code: str, prefix: BlobPrefix, subject: str, identity_and_role: tuple[BlobIdentity, str]
) -> FetchError:
    """For a status of 400 or more, with the service's own word for it."""
    answered = f"{status} {code}".strip()
    if status in (401, 403) or code in UNAUTHENTICATED_CODES:
        return FetchError(_explain_access_denied(answered, subject, *identity_and_role), "configuration")
    if code == "ContainerNotFound":
        return BlobsNotFound(f"the storage account {prefix.account} has no container {prefix.container}")
    if status in (404, 412, 416):
        changed = f"a blob below {prefix} was changed or deleted while it was fetched ({answered})"
        return FetchError(f"{changed}: start the run again", "data")
    if status in errors.TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{subject} could not be read (HTTP {answered}): try again later", "network")
    return FetchError(f"{subject} could not be read (HTTP {answered})", "configuration")


def _explain_access_denied(status_text: str, subject: str, identity: BlobIdentity, role: str) -> str:
    if status_text.endswith(UNAUTHENTICATED_CODES):
        way = identity.describe_remedy(role, is_known=False)
        return f"Azure does not accept the sign-in of {identity.describe()} for {subject} ({status_text}): {way}"
    return f"Azure does not let {identity.describe()} read {subject} ({status_text}): {identity.describe_remedy(role, is_known=True)}"


def _get_status(error: Exception) -> int:
    return int(getattr(error, "status_code", 0) or 0) or errors.parse_http_status(error)


def _get_error_code(error: Exception) -> str:
    """The service's own word; the SDK has names of its own for some."""
    if code := getattr(error, "error_code", None):
        return str(getattr(code, "value", code))
    said = re.search(_ERROR_CODE, str(error))
    return said[1] if said else ""


def _describe_transport_error(error: Exception) -> str:
    """How a request of obstore ended without an answer; empty when it did not."""
    said = re.search(_TRANSPORT_ERROR, str(error))
    return format_error(ValueError(said[1])).partition(": ")[2] if said else ""


CONTRIBUTOR_ROLE = "Storage Blob Data Contributor"
_WRITING_PHRASES = (
    ("could not be read", "could not be written to"),
    (" read container ", " write to container "),
    (" while it was fetched", " while it was published"),
    (": start the run again", ""),
)
"""What is told of reading, told of writing."""


class UploadMismatch(Exception):
    """What lies there now is not what was sent. The text says what."""


def explain_publish_error(error: Exception, prefix: BlobPrefix, identity: BlobIdentity, remedy: str = "") -> Exception:
    """What is raised in the place of `error`: Never and the operating system's own trouble stay as they are.

    way: as for reading.
    """
    if isinstance(error, PermanentError) or (isinstance(error, OSError) and error.errno):
        return error
    if isinstance(error, UploadMismatch):
        return OSError(str(error))
    if getattr(error, "error_code", "") == "ContainerNotFound":
        make = (
            f"az storage container create --auth-mode login --account-name {prefix.account} --name {prefix.container}"
        )
        return OSError(f"the storage account {prefix.account} has no container {prefix.container}: {make}")
    sentence = str(explain_blob_error(error, prefix, identity, CONTRIBUTOR_ROLE, remedy))
    for reading, writing in _WRITING_PHRASES:
        sentence = sentence.replace(reading, writing)
    return OSError(sentence)
