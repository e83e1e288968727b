"""Which checkpoint a training goes on from: the one that was named or pinned, or the last whole one below a prefix."""

from robotrain_sources.blob_url import listing, unfetched
from robotrain_sources.blob_url.asking import Asking
from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.prefix import BlobPrefix
from robotrain_sources.blob_url.publish_blobs import Container
from robotrain_sources.blob_url.publish_checkpoint import Published
from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import digest

MOST_NAMED = 8


def of(at: BlobPrefix, who: Identity, way: str = "") -> BlobPrefix:
    """The folder of the checkpoint. Raises Refused when there is none, or when several runs have left some.

    way: as in `unfetched`.
    """
    found = _whole(at, who, way)
    if "" in found:
        return at
    if not found:
        raise Refused(f"no whole checkpoint lies at {at}, and none below it", "configuration")
    names = sorted(found, key=int)
    if len(set(found.values())) > 1:
        each = ", ".join(f"{name} of the run {found[name]}" for name in names[-MOST_NAMED:])
        raise Refused(
            f"checkpoints of several runs lie below {at}: {each}\n--resume-from {at}/{names[-1]}", "configuration"
        )
    return _below(at, names[-1])


def pinned(at: BlobPrefix, who: Identity, pin: str, way: str = "") -> BlobPrefix | None:
    """The folder of the checkpoint with the digest `pin`, whichever run's it is and whatever came after it; None when
    it is gone. Raises what the SDK raises, and Refused.
    """
    names = sorted(_whole(at, who, way), key=lambda name: int(name or 0), reverse=True)
    folders = (_below(at, name) for name in names)
    return next((folder for folder in folders if lies(Asking(folder, who)) == pin), None)


def lies(asking: Asking) -> str:
    """The digest of what lies below a prefix, as the transfer tells it; empty for nothing."""
    found = sorted(listing.files(asking.blobs()), key=lambda entry: entry.name)
    return digest.of(found) if found else ""


def _whole(at: BlobPrefix, who: Identity, way: str) -> dict[str, str]:
    try:
        found = Published(at, Container(at, who, asking=True)).whole()
    except Exception as error:
        raise unfetched.of(error, at, who, way=way) from error
    return {name: by.run for name, by in found.items()}


def _below(at: BlobPrefix, name: str) -> BlobPrefix:
    return BlobPrefix(at.account, at.container, f"{at.prefix}/{name}") if name else at
