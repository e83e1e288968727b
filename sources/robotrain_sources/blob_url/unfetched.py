"""Why Azure did not give something, in a sentence that names account, container, identity and the role needed.

Both of its clients are understood: the SDK's errors have a status and a code, obstore's have them in their words.
"""

import re
from collections.abc import Set

from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.kept import READER
from robotrain_sources.blob_url.prefix import BlobPrefix
from robotrain_sources.fetching.answer import UNREACHED, Refused, blamed, plain, unanswered
from robotrain_sources.transfer import trouble

CHANGED = "what lies below {at} is not what lay there when it was pinned: blobs were added, changed or deleted since"
ANY_WAY = (
    "sign in with `az login`, give the job a managed identity (AZURE_CLIENT_ID), or name a file with an account key, a"
    " SAS or a token"
)
BAD = 400
"""The first status that is a refusal."""
UNKNOWN = ("AuthenticationFailed", "InvalidAuthenticationInfo")
"""Azure does not even know who asks."""

_CODE = r"<Code>(\w+)</Code>"
_ON_THE_WAY = r".*HTTP error: (.+)"
_REASON = (
    r"AADSTS\d+: [^.\n]*|(?:No such file or directory|Permission denied)(?:: '[^'\n]+')?"
    r"|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
)


class NotThere(Refused):
    """What was named is not there, whoever looks."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "configuration")


def of(error: Exception, at: BlobPrefix, identity: Identity, role: str = READER, way: str = "") -> Refused:
    """What the SDK or obstore raised, as a sentence with whose fault it is. role: the one that would do.

    way: what to type to give the job an identity, where a platform has its own way.
    """
    if isinstance(error, Refused):
        return error
    where = f"container {at.container} of the storage account {at.account}"
    kinds = {base.__name__ for base in type(error).__mro__}
    if "ClientAuthenticationError" in kinds and not hasattr(error, "error_code"):  # the sign-in's, not the account's
        return no_identity(error, where, role, way)
    if (status := _status(error)) >= BAD:
        return _answered(status, _code(error), at, where, (identity, role))
    if "AzureError" in kinds or _on_the_way(error):
        return _unanswered(error, at, kinds)
    if isinstance(error, TimeoutError):
        return Refused(f"the storage account {at.account} gave no answer in time: try again later", "network")
    fault = "network" if trouble.may_pass(error) else blamed(error)
    return Refused(f"{where} could not be read: {plain(error)}", fault)


def no_identity(error: Exception, where: str, role: str = READER, way: str = "") -> Refused:
    """For a sign-in that failed. where: what cannot be read. role, way: as in `of`."""
    if reason := re.search(_REASON, str(error)):
        told = f" ({reason[0]})"
    elif unreached := re.search(UNREACHED, str(error)):
        return Refused(
            f"Azure's sign-in cannot be reached, so nobody can read {where} ({unreached[0]}): try again later",
            "network",
        )
    else:
        told = ""
    return Refused(
        f"there is no Azure identity to read {where} with{told}: {way or ANY_WAY}; an identity needs the role {role}",
        "configuration",
    )


def _unanswered(error: Exception, at: BlobPrefix, kinds: Set[str]) -> Refused:
    """For a request that got no answer, or a part of one. kinds: the names of the error's classes."""
    sdk = "AzureError" in kinds
    told = plain(error) if sdk else _on_the_way(error)
    if "body" in told or (sdk and not {"ServiceRequestError", "ServiceResponseError"} & kinds):
        return Refused(f"the connection to the storage account {at.account} broke off ({told})", "network")
    reached = f"the storage account {at.account} cannot be reached, or there is none of that name"
    return Refused(f"{reached} ({told})", unanswered(error))


def _answered(status: int, code: str, at: BlobPrefix, where: str, asked: tuple[Identity, str]) -> Refused:
    """For a status of 400 or more, with the service's own word for it."""
    answered = f"{status} {code}".strip()
    if status in (401, 403) or code in UNKNOWN:
        return Refused(_not_let_in(answered, where, *asked), "configuration")
    if code == "ContainerNotFound":
        return NotThere(f"the storage account {at.account} has no container {at.container}")
    if status in (404, 412, 416):
        changed = f"a blob below {at} was changed or deleted while it was fetched ({answered})"
        return Refused(f"{changed}: start the run again", "data")
    if status in trouble.PASSING or status >= 500:
        return Refused(f"{where} could not be read (HTTP {answered}): try again later", "network")
    return Refused(f"{where} could not be read (HTTP {answered})", "configuration")


def _not_let_in(answered: str, where: str, identity: Identity, role: str) -> str:
    if answered.endswith(UNKNOWN):
        way = identity.way(role, known=False)
        return f"Azure does not accept the sign-in of {identity.who()} for {where} ({answered}): {way}"
    return f"Azure does not let {identity.who()} read {where} ({answered}): {identity.way(role, known=True)}"


def _status(error: Exception) -> int:
    return int(getattr(error, "status_code", 0) or 0) or trouble.status_of(error)


def _code(error: Exception) -> str:
    """The service's own word; the SDK has names of its own for some."""
    if code := getattr(error, "error_code", None):
        return str(getattr(code, "value", code))
    said = re.search(_CODE, str(error))
    return said[1] if said else ""


def _on_the_way(error: Exception) -> str:
    """How a request of obstore ended without an answer; empty when it did not."""
    said = re.search(_ON_THE_WAY, str(error))
    return plain(ValueError(said[1])).partition(": ")[2] if said else ""
