"""Errors of Azure Storage as sentences with account, identity and required role.

Two clients raise them: the SDK's errors have a status and a code, obstore's have both in their text.
"""

import re
from collections.abc import Set

from robotrain_runtime.contract.certificate_trust import find_untrusted_certificate
from robotrain_runtime.contract.failure import PermanentError

from robotrain_sources.blob_url.identity import READER_ROLE, RIGHT_MISSING_CODE, BlobIdentity
from robotrain_sources.blob_url.reference import BlobPrefix
from robotrain_sources.fetching import errors
from robotrain_sources.fetching.azure_sign_in import explain_sign_in
from robotrain_sources.fetching.errors import FetchError, blame_error, blame_no_answer, format_error

CHANGED_MESSAGE = "the blobs below {at} are not those that were pinned: some were added, changed or deleted since"
IDENTITY_HINT = (
    "sign in with `az login`, give the job a managed identity (AZURE_CLIENT_ID), or name a file with an account key, a"
    " SAS or a token"
)
FIRST_ERROR_STATUS = 400
UNAUTHENTICATED_CODES = ("AuthenticationFailed", "InvalidAuthenticationInfo")
"""Error codes for a caller that Azure cannot identify."""

_ERROR_CODE = r"<Code>(\w+)</Code>"


class BlobsNotFound(FetchError):
    """The container or the blobs do not exist, with any identity."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "configuration")


def explain_blob_error(
    error: Exception, prefix: BlobPrefix, identity: BlobIdentity, role: str = READER_ROLE, remedy: str = ""
) -> FetchError:
    """Return an error of the SDK or obstore as a FetchError.

    `role` is the role that would be sufficient, `remedy` the platform's way to give the job an identity.
    """
    if isinstance(error, FetchError):
        return error
    subject = f"container {prefix.container} of the storage account {prefix.account}"
    class_names = errors.get_class_names(error)
    if "ClientAuthenticationError" in class_names and not hasattr(error, "error_code"):  # from the sign-in
        return explain_no_identity(error, subject, role, remedy)
    if (status := errors.parse_http_status(error)) >= FIRST_ERROR_STATUS:
        return _explain_status(status, _get_error_code(error), prefix, subject, (identity, role))
    if "AzureError" in class_names or errors.describe_transport_error(error):
        return _explain_no_answer(error, prefix, class_names)
    if isinstance(error, TimeoutError):
        return FetchError(f"the storage account {prefix.account} did not answer in time: try again later", "network")
    fault = "network" if errors.is_transient(error) else blame_error(error)
    return FetchError(f"{subject} cannot be read: {format_error(error)}", fault)


def explain_no_identity(error: Exception, subject: str, role: str = READER_ROLE, remedy: str = "") -> FetchError:
    """Return the error for a failed sign-in; `subject` is what cannot be read."""
    return explain_sign_in(error, subject, f": {remedy or IDENTITY_HINT}; an identity needs the role {role}")


def _explain_no_answer(error: Exception, prefix: BlobPrefix, class_names: Set[str]) -> FetchError:
    is_sdk_error = "AzureError" in class_names
    cause = format_error(error) if is_sdk_error else errors.describe_transport_error(error)
    if "body" in cause or (is_sdk_error and not {"ServiceRequestError", "ServiceResponseError"} & class_names):
        return FetchError(f"the connection to the storage account {prefix.account} broke ({cause})", "network")
    if bad_certificate := find_untrusted_certificate(cause, *errors.iter_causes(error)):
        reason = f"the storage account {prefix.account} cannot be reached: {bad_certificate}"
        return FetchError(reason, "machine")
    reason = f"the storage account {prefix.account} does not exist or cannot be reached ({cause})"
    return FetchError(reason, blame_no_answer(error))


def _explain_status(
    status: int, code: str, prefix: BlobPrefix, subject: str, identity_and_role: tuple[BlobIdentity, str]
) -> FetchError:
    """Return the error for a status of 400 or more and the service's error code."""
    status_text = f"{status} {code}".strip()
    if status in (401, 403) or code in UNAUTHENTICATED_CODES:
        identity, role = identity_and_role
        is_known = not status_text.endswith(UNAUTHENTICATED_CODES)
        is_let_in = code == RIGHT_MISSING_CODE
        identity_text = identity.describe()
        remedy = identity.describe_remedy(role, is_known=is_known, is_let_in=is_let_in)
        reason = (
            f"let {identity_text} read {subject}"
            if is_known
            else f"accept the sign-in of {identity_text} for {subject}"
        )
        return FetchError(f"Azure does not {reason} ({status_text}): {remedy}", "configuration")
    if code == "ContainerNotFound":
        return BlobsNotFound(f"the storage account {prefix.account} has no container {prefix.container}")
    if status in (404, 412, 416):
        change_reason = f"a blob below {prefix} was changed or deleted while it was fetched ({status_text})"
        return FetchError(f"{change_reason}: start the run again", "data")
    if status in errors.TRANSIENT_STATUS or status >= 500:
        return FetchError(f"{subject} cannot be read (HTTP {status_text}): try again later", "network")
    return FetchError(f"{subject} cannot be read (HTTP {status_text})", "configuration")


def _get_error_code(error: Exception) -> str:
    """Return the service's error code; for some, the SDK has an enum."""
    if code := getattr(error, "error_code", None):
        return str(getattr(code, "value", code))
    match = re.search(_ERROR_CODE, str(error))
    return match[1] if match else ""


CONTRIBUTOR_ROLE = "Storage Blob Data Contributor"
_WRITING_PHRASES = (
    ("cannot be read", "cannot be written to"),
    (" read container ", " write to container "),
    (" while it was fetched", " while it was published"),
    (": start the run again", ""),
)
"""Phrases about reading, and their counterparts about writing."""


class UploadMismatch(Exception):
    """A blob differs from what was uploaded. The text says which."""


def explain_publish_error(error: Exception, prefix: BlobPrefix, identity: BlobIdentity, remedy: str = "") -> Exception:
    """Return the error of a failed upload as OSError; PermanentError and system errors stay as they are."""
    if isinstance(error, PermanentError) or (isinstance(error, OSError) and error.errno):
        return error
    if isinstance(error, UploadMismatch):
        return OSError(str(error))
    if getattr(error, "error_code", "") == "ContainerNotFound":
        options = f"--auth-mode login --account-name {prefix.account} --name {prefix.container}"
        reason = f"the storage account {prefix.account} has no container {prefix.container}"
        return OSError(f"{reason}: az storage container create {options}")
    sentence = str(explain_blob_error(error, prefix, identity, CONTRIBUTOR_ROLE, remedy))
    for reading_phrase, writing_phrase in _WRITING_PHRASES:
        sentence = sentence.replace(reading_phrase, writing_phrase)
    return OSError(sentence)
