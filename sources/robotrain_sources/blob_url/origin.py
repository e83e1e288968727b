"""Runs in the data environment: a folder of blobs as the transfer knows it. The SDK lists it, obstore gets it."""

import importlib
from collections.abc import Iterator
from typing import Any

from robotrain_sources.blob_url import identity, listing, prefix, publish_choice, unfetched
from robotrain_sources.blob_url.asking import Asking
from robotrain_sources.blob_url.prefix import HOST, BlobPrefix
from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import client
from robotrain_sources.transfer.origin import Entry

NOT_OURS = {"use_emulator": False, "use_fabric_endpoint": False, "skip_signature": False}
"""What obstore would take from the environment otherwise."""
REPIN = "robotrain resubmit RUN --repin"


class Blobs:
    """The blobs below one prefix, as one identity reads them. chosen: whether it is a checkpoint below that is meant,
    which is asked for when its files are. way: what to type to give the job an identity, where that is known.
    """

    def __init__(
        self, at: BlobPrefix, pin: str, who: identity.Identity, *, chosen: bool = False, way: str = ""
    ) -> None:
        self.place = f"blob_url/{at.account}/{at.container}"
        self._at = at
        self._pin = pin
        self._who = who
        self._asking = Asking(at, who)
        self._chosen = chosen
        self._way = way
        self._unsigned: Exception | None = None

    def entries(self) -> Iterator[Entry]:
        """The files, as they are listed. Raises Refused when there is no checkpoint to choose."""
        if self._chosen:
            self._at = self._choice()
            self._asking, self._chosen = Asking(self._at, self._who), False
        return listing.files(self._asking.blobs())

    def store(self) -> Any:
        """The container, for whoever can sign in."""
        return importlib.import_module("obstore.store").AzureStore(
            self._at.container,
            account_name=self._at.account,
            endpoint=f"https://{self._at.account}{HOST}",
            credential_provider=self._provide,
            client_options=dict(client.OPTIONS),
            retry_config=dict(client.RETRIES),
            **NOT_OURS,
        )

    def path(self, name: str) -> str:
        """Where a file lies in the container."""
        return f"{self._at.prefix}/{name}"

    def unlike(self, digest: str) -> str:
        """That what lies there is not what was pinned; empty when it is."""
        return "" if self._pin in ("", digest) else self._changed()

    def nothing(self) -> Refused:
        """That there are no blobs, and what was probably meant."""
        return self._asking.nothing()

    def refused(self, error: Exception) -> Refused:
        """Why Azure did not give something."""
        unsigned = self._unsigned if "External Azure credential provider" in str(error) else None
        return unfetched.of(unsigned or error, self._at, self._who, way=self._way)

    def _choice(self) -> BlobPrefix:
        if not self._pin:
            return publish_choice.of(self._at, self._who, self._way)
        if found := publish_choice.pinned(self._at, self._who, self._pin, self._way):
            return found
        raise Refused(self._changed(), "data")

    def _changed(self) -> str:
        return f"{unfetched.CHANGED.format(at=self._at)}\n{REPIN}"

    def _provide(self) -> dict[str, Any]:
        """The credential. Of an error obstore keeps words alone, so it is kept here."""
        try:
            return self._who.provide()
        except Exception as error:
            self._unsigned = error
            raise


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> Blobs:
    """The blobs below the address. Raises Refused when it is none, or the credential file is of no use."""
    try:
        at = prefix.parse(uri)
    except prefix.BlobUrlError as refused:
        raise Refused(f"the job names no folder of blobs: {refused.why}", "configuration") from None
    return Blobs(at, pin, identity.of(credential), chosen=role == "resume", way=way)
