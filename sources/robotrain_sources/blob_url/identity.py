"""Who asks Azure: the identities a job can have, which of them it was, and what it takes for it to be let in.

Both of Azure's clients are served: the SDK, which lists and publishes, and obstore, which fetches.
"""

import functools
import os
import threading
from typing import Any, Protocol

from robotrain_sources.blob_url import kept
from robotrain_sources.blob_url.signed_in import SignedIn


class Identity(Protocol):
    """One who asks."""

    def sdk(self, account: str) -> Any:
        """The credential as Azure's SDK takes it, for a storage account."""

    def provide(self) -> dict[str, Any]:
        """The credential as obstore asks for it, in any thread."""

    def who(self) -> str:
        """As a sentence names it."""

    def way(self, role: str, known: bool) -> str:
        """What would let it in, as the end of a sentence. role: the one that would do. known: whether Azure takes it
        for somebody.
        """


def of(credential: str) -> Identity:
    """The identity whose secret is in the file `credential`, else the one this machine has. Raises Refused."""
    if credential:
        return kept.Kept(credential)
    with _one_at_a_time:
        return _signed_in(tuple(sorted(os.environ.items())))


@functools.lru_cache(maxsize=2)
def _signed_in(environ: tuple[tuple[str, str], ...]) -> SignedIn:
    """One sign-in for all the sources of a process; another environment may be another identity."""
    return SignedIn()


_one_at_a_time = threading.Lock()
