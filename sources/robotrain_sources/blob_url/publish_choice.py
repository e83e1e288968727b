"""Which checkpoint a training goes on from: the one that was named, or the last whole one below a prefix."""

from robotrain_sources.blob_url import unfetched
from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.prefix import BlobPrefix
from robotrain_sources.blob_url.publish_blobs import Container
from robotrain_sources.blob_url.publish_checkpoint import Published
from robotrain_sources.fetching.answer import Refused

MOST_NAMED = 8


def of(at: BlobPrefix, who: Identity) -> BlobPrefix:
    """The folder of the checkpoint. Raises Refused when there is none, or when several runs have left some."""
    try:
        found = Published(at, Container(at, who, asking=True)).whole()
    except Exception as error:
        raise unfetched.of(error, at, who) from error
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
    return BlobPrefix(at.account, at.container, f"{at.prefix}/{names[-1]}")
