"""The identity that this machine has, by Azure's own chain of sign-ins."""

import os
import threading
import time
from datetime import datetime, timezone
from typing import Any

from robotrain_sources.blob_url import secret_file
from robotrain_sources.credential import signing_in

STORAGE = "https://storage.azure.com/.default"
EARLY = 300
"""The seconds before its end that a token is renewed."""
RESPITE = 10
"""The seconds that a failure stands for all who ask: sixty sources wait no longer for it than one."""


class SignedIn:
    """Azure's own chain; its token for storage is asked for once."""

    def __init__(self) -> None:
        self._chain = signing_in.chain()
        self._lock = threading.Lock()
        self._token: Any = None
        self._failed: tuple[float, Exception] | None = None

    def sdk(self, account: str) -> Any:
        """Itself: the SDK calls `get_token`."""
        return self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token for storage; the sign-ins that run a program keep none themselves. Raises what the chain raises."""
        if options.get("claims") or options.get("tenant_id"):  # a service that says what it wants
            return self._chain.get_token(*scopes, **options)
        with self._lock:
            if self._failed and time.monotonic() - self._failed[0] < RESPITE:
                raise self._failed[1]
            if self._token is None or self._token.expires_on - time.time() < EARLY:
                self._token = self._renewed()
            return self._token

    def provide(self) -> dict[str, Any]:
        """A token, under obstore's name for it."""
        token = self.get_token(STORAGE)
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, timezone.utc)}

    def who(self) -> str:
        """As its token names it."""
        try:
            named = secret_file.holder(self.get_token(STORAGE).token)
        except Exception:
            named = ""
        client = os.environ.get("AZURE_CLIENT_ID")
        return named or (f"the identity with client id {client}" if client else "the identity of this machine")

    def way(self, role: str, known: bool) -> str:
        """A role, or the network."""
        if not known:
            return f"it must be of the account's own tenant, and needs the role {role} there"
        return f"give it the role {role} there; if it has that, the account's network rules keep this machine out"

    def _renewed(self) -> Any:
        try:
            return self._chain.get_token(STORAGE)
        except Exception as error:
            self._failed = time.monotonic(), error
            raise
