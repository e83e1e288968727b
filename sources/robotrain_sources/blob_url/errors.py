"""Errors of Azure Storage as sentences with account, identity and required role.

Two clients raise them: the SDK's errors have a status and a code, obstore's have both in their text.
"""

from robotrain_sources.blob_url.identity import READER_ROLE, BlobIdentity
from robotrain_sources.blob_url.reference import BlobPrefix
from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError

CHANGED_MESSAGE = "the blobs below {at} are not those that were pinned: some were added, changed or deleted since"
IDENTITY_HINT = (
    "sign in with `az login`, give the job a managed identity (AZURE_CLIENT_ID), or name a file with an account key, a"
    " SAS or a token"
)
CONTRIBUTOR_ROLE = "Storage Blob Data Contributor"
RIGHT_MISSING_CODE = "AuthorizationPermissionMismatch"
"""Azure's code for a caller that the network let in, and that lacks a role or a right."""
UNAUTHENTICATED_CODES = ("AuthenticationFailed", "InvalidAuthenticationInfo")
"""Error codes for a caller that Azure cannot identify."""


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
    account, subject = prefix.account, f"container {prefix.container} of the storage account {prefix.account}"
    code, status = errors.get_service_code(error), errors.parse_http_status(error)
    if code == "ContainerNotFound":
        command = f"az storage container create --auth-mode login --account-name {account} --name {prefix.container}"
        hint = f": {command}" if role == CONTRIBUTOR_ROLE else ""
        return BlobsNotFound(f"the storage account {account} has no container {prefix.container}{hint}")
    is_unknown = status == 401 or code in UNAUTHENTICATED_CODES
    if is_unknown or status == 403:
        network = (
            "" if is_unknown or code == RIGHT_MISSING_CODE else "; or the account's network rules block this machine"
        )
        answer = f"{status} {code}".strip()
        need = f"it needs the role {role} there, in the account's tenant; a SAS or a key needs those rights"
        sentence = f"Azure does not let {identity.describe()} use {subject} ({answer}): {need}"
        return FetchError(sentence + network, "configuration")
    if status == 404:
        return FetchError(f"a blob below {prefix} was deleted ({status} {code}): start the run again", "data")
    return errors.explain(error, subject, sign_in=f"{remedy or IDENTITY_HINT}; an identity needs the role {role}")
