"""Whoever is signed in here, by Azure's own chain of sign-ins; on a laptop and in a container alike."""

import functools
import importlib
import logging
import os
import threading
import time
from typing import Any

NO_DESKTOP = ("shared_token_cache", "visual_studio_code", "interactive_browser", "broker")
SAID = ("AZURE_", "IDENTITY_", "MSI_")
"""What names begin with by which an environment says who somebody is, and of which cloud."""
HASTE = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10, "process_timeout": 10}
"""Nobody waits long to hear that nobody is signed in."""
KEPT_SECONDS = 120.0
"""Longer than one command asks for tokens, shorter than somebody takes to sign in as another."""
EARLY = 300.0
"""Seconds before its end from which a token is asked for anew: as Azure's own clients have it."""


def chain() -> Any:
    """A secret in the environment, workload identity, a managed identity, `az login`, `azd auth login`: the first that
    is there. It reads AZURE_AUTHORITY_HOST. Raises ModuleNotFoundError where azure-identity is not installed.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in its errors
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in NO_DESKTOP}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**without, **HASTE)


def shared() -> "Kept":
    """One for all that a process asks as the same one: `az` takes a second for each token. Raises as `chain` does."""
    said = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(SAID)))
    with _MAKING:
        return _made(said)


def forget() -> None:
    """Tokens that do not hold any more, or are another's, are asked for anew."""
    with _MAKING:
        _made.cache_clear()


class Kept:
    """A credential that remembers each token for a while. Threads may share it."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._tokens: dict[Any, tuple[float, Any]] = {}
        self._asking: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **said: Any) -> Any:
        """As Azure's older clients ask for it."""
        return self._token("get_token", scopes, said)

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """As its newer ones do."""
        return self._token("get_token_info", scopes, {"options": options} if options else {})

    def _token(self, how: str, scopes: tuple[str, ...], said: dict[str, Any]) -> Any:
        ask = functools.partial(getattr(self._credential, how), *scopes, **said)
        options = said.get("options") or said
        if options.get("claims"):  # the last one was refused
            return ask()
        key = (how, scopes, repr(sorted(options.items())))
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:  # who wants the same one waits for it; another scope is asked for meanwhile
            until, token = self._tokens.get(key, (0.0, None))
            if token is None or time.monotonic() > until or token.expires_on - time.time() < EARLY:
                token = ask()
                self._tokens[key] = (time.monotonic() + KEPT_SECONDS, token)
            return token


_MAKING = threading.Lock()


@functools.lru_cache(maxsize=1)
def _made(said: tuple[tuple[str, str], ...]) -> Kept:
    """The chain reads what the environment says when it is made: other words need another one."""
    return Kept(chain())
