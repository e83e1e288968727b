"""Stores of secrets that a job reads where it runs, such as a key vault."""

STORE_PREFIX = "secrets."


class SecretStorePlugin:
    """A store of secrets: the module named `secrets.NAME` in a job document has these names."""

    def accepts(self, address: str) -> bool:
        """Return whether an address is one of this store."""
        raise NotImplementedError

    def read(self, address: str) -> str:
        """Return a secret. Raise ProblemError, or OSError with a sentence for the user.

        Runs in the runtime, in its data environment, and is not waited for longer than a minute.
        """
        raise NotImplementedError
