"""What a blob URL means now: what is listed below it, told as the transfer tells data. Nothing is downloaded."""

from collections.abc import Sequence

from robotrain.source import Absent, Source, Unseen

from robotrain_sources import patience
from robotrain_sources.blob_url import identity, publish_choice, unfetched
from robotrain_sources.blob_url.asking import Asking
from robotrain_sources.blob_url.prefix import BlobPrefix, parse

ALTOGETHER = 10.0
HERE = "blobs from this machine"
SIGN_IN = "sign in with `az login`"


def now(source: Source, role: str) -> str:
    """The digest of what lies below the prefix at this moment. Raises SourceError."""
    at = parse(str(source))
    return patience.within(ALTOGETHER, lambda: _digest(at, role, ""), f"The storage account {at.account}", Unseen)


def gone(source: Source, role: str, pin: str) -> str:
    """Why what was pinned cannot be had any more, as a sentence; empty while it can. Raises SourceError."""
    at = parse(str(source))
    service = f"The storage account {at.account}"
    found = patience.within(ALTOGETHER, lambda: _digest(at, role, pin), service, Unseen)
    if found == pin:
        return ""
    return _sentence(unfetched.CHANGED.format(at=at) if found else f"no blobs lie below {at} any more")


def lacks(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths that no blob has below the prefix. Raises what the SDK raises, and Unseen."""
    at = parse(str(source))
    asking = Asking(at, identity.of(""))

    def missing() -> str:
        return "\n".join(path for path in paths if not asking.has(path))

    return patience.within(ALTOGETHER, missing, f"The storage account {at.account}", Unseen).splitlines()


def _digest(at: BlobPrefix, role: str, pin: str) -> str:
    """Asks Azure as who is signed in here. pin: what lay there; with one, what is not there is empty. Raises
    SourceError.
    """
    who = identity.of("")
    try:
        who.provide()
    except Exception as error:  # the same for every source, so it names none
        raise Unseen(_sentence(str(unfetched.no_identity(error, HERE, way=SIGN_IN)))) from None
    try:
        asking = Asking(_meant(at, role, pin, who), who)
        if found := publish_choice.lies(asking):
            return found
        raise asking.nothing()
    except Exception as error:
        refused = unfetched.of(error, at, who)
        if pin and isinstance(refused, unfetched.NotThere):
            return ""
        why, _, instead = str(refused).partition("\n")
        definite = isinstance(refused, unfetched.NotThere)
        raise (Absent if definite else Unseen)(_sentence(why), instead) from None


def _meant(at: BlobPrefix, role: str, pin: str, who: identity.Identity) -> BlobPrefix:
    """The folder itself, or the checkpoint below it that a training goes on from."""
    if role != "resume":
        return at
    return publish_choice.pinned(at, who, pin) or at if pin else publish_choice.of(at, who)


def _sentence(text: str) -> str:
    return f"{text if text.startswith('https:') else text[:1].upper() + text[1:]}."
