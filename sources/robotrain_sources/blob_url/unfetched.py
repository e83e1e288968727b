"""Why Azure did not give something, in a sentence that names account, container, identity and the role needed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robotrain_sources.blob_url import identity
from robotrain_sources.blob_url.prefix import BlobPrefix
from robotrain_sources.fetching.answer import Refused, plain

ROLE = "Storage Blob Data Reader"
_REASON = r"AADSTS\d+: [^.\n]*"


@contextmanager
def told(at: BlobPrefix, credential: Any) -> Iterator[None]:
    """What the SDK raises within becomes Refused; the operating system's own errors stay."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Refused(_sentence(error, at, credential)) from error


def _sentence(error: Exception, at: BlobPrefix, credential: Any) -> str:
    where = f"container {at.container} of the storage account {at.account}"
    kinds = {base.__name__ for base in type(error).__mro__}
    status, code = int(getattr(error, "status_code", 0) or 0), _code(error)
    if "ClientAuthenticationError" in kinds and not hasattr(error, "error_code"):  # the sign-in's, not the account's
        return _no_identity(error, where)
    answered = f"{status} {code}".strip()
    if status in (401, 403):
        return _refused(answered, where, identity.who(credential))
    if code == "ContainerNotFound":
        return f"the storage account {at.account} has no container {at.container}"
    if status in (404, 412):
        return f"a blob below {at} was changed or deleted while it was fetched ({answered}): start the run again"
    if status:
        way = ": try again later" if status == 429 or status >= 500 else ""
        return f"{where} could not be read (HTTP {answered}){way}"
    if "ServiceRequestError" in kinds or "ServiceResponseError" in kinds:
        return f"the storage account {at.account} cannot be reached, or there is none of that name ({plain(error)})"
    return f"{where} could not be read: {plain(error)}"


def _code(error: Exception) -> str:
    """The service's own word; the SDK has names of its own for some."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _refused(answered: str, where: str, who: str) -> str:
    if "AuthenticationFailed" in answered or "InvalidAuthenticationInfo" in answered:
        return (
            f"Azure does not accept the sign-in of {who} for {where} ({answered}):"
            f" it must be of the account's own tenant, and needs the role {ROLE} there"
        )
    return (
        f"Azure does not let {who} read {where} ({answered}): give it the role {ROLE} there;"
        " if it has that, the account's network rules keep this machine out"
    )


def _no_identity(error: Exception, where: str) -> str:
    reason = re.search(_REASON, str(error))
    told = f" ({reason[0]})" if reason else ""
    return (
        f"there is no Azure identity to read {where} with{told}: sign in with `az login`,"
        f" or give the job a managed identity (AZURE_CLIENT_ID); it needs the role {ROLE}"
    )
