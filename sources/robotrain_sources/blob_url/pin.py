"""What a blob URL means now: what is listed below it, told as the transfer tells data. Nothing is downloaded."""

from collections.abc import Sequence

from robotrain.model.source import Source, SourceNotFound, SourceUnreachable

from robotrain_sources import parallel
from robotrain_sources.blob_url import errors, fetch, identity
from robotrain_sources.blob_url.fetch import BlobLister
from robotrain_sources.blob_url.reference import BlobPrefix, parse_blob_url

DEADLINE_SECONDS = 10.0
THIS_MACHINE = "blobs from this machine"
SIGN_IN_HINT = "sign in with `az login`"


def compute_pin(source: Source, role: str) -> str:
    """The digest of what lies below the prefix at this moment. Raises SourceError."""
    at = parse_blob_url(str(source))
    return parallel.run_with_deadline(
        DEADLINE_SECONDS, lambda: _list_and_digest(at, role, ""), f"The storage account {at.account}", SourceUnreachable
    )


def find_change(source: Source, role: str, pin: str) -> str:
    """Why what was pinned cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    at = parse_blob_url(str(source))
    service = f"The storage account {at.account}"
    found = parallel.run_with_deadline(
        DEADLINE_SECONDS, lambda: _list_and_digest(at, role, pin), service, SourceUnreachable
    )
    if found == pin:
        return ""
    return _format_sentence(errors.CHANGED_MESSAGE.format(at=at) if found else f"no blobs lie below {at} any more")


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that no blob has below the prefix. Raises what the SDK raises, and Unseen."""
    at = parse_blob_url(str(source))
    asking = BlobLister(at, identity.load_identity(""))

    def missing() -> str:
        return "\n".join(path for path in paths if not asking.has_blob(path))

    return parallel.run_with_deadline(
        DEADLINE_SECONDS, missing, f"The storage account {at.account}", SourceUnreachable
    ).splitlines()


def _list_and_digest(prefix: BlobPrefix, role: str, pin: str) -> str:
    """Asks Azure as who is signed in here. pin: what lay there; with one, what is not there is empty. Raises
    SourceError.
    """
    who = identity.load_identity("")
    try:
        who.get_obstore_credential()
    except Exception as error:  # the same for every source, so it names none
        raise SourceUnreachable(
            _format_sentence(str(errors.explain_no_identity(error, THIS_MACHINE, remedy=SIGN_IN_HINT)))
        ) from None
    try:
        asking = BlobLister(_select_folder(prefix, role, pin, who), who)
        if found := fetch.compute_listing_digest(asking):
            return found
        raise asking.explain_empty()
    except Exception as error:
        refused = errors.explain_blob_error(error, prefix, who)
        if pin and isinstance(refused, errors.BlobsNotFound):
            return ""
        why, _, instead = str(refused).partition("\n")
        definite = isinstance(refused, errors.BlobsNotFound)
        raise (SourceNotFound if definite else SourceUnreachable)(_format_sentence(why), instead) from None


def _select_folder(prefix: BlobPrefix, role: str, pin: str, who: identity.BlobIdentity) -> BlobPrefix:
    """The folder itself, or the checkpoint below it that a training goes on from."""
    if role != "resume":
        return prefix
    return (
        fetch.find_pinned_checkpoint(prefix, who, pin) or prefix if pin else fetch.find_latest_checkpoint(prefix, who)
    )


def _format_sentence(text: str) -> str:
    return f"{text if text.startswith('https:') else text[:1].upper() + text[1:]}."
