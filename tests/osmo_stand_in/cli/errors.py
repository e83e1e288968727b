"""How the command fails: each kind has its exit status."""


class OsmoError(Exception):
    """What is told, and no traceback. status: the HTTP status, when there was one. Exit 2, or 75 when busy."""

    def __init__(self, message: str, workflow: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.workflow = workflow
        self.status = status

    @property
    def exit(self) -> int:
        return 75 if self.status == 429 else 2


class CredentialError(OsmoError):
    """The service misses a secret."""


class SubmissionError(OsmoError):
    """The workflow is not taken. Exit 1."""

    @property
    def exit(self) -> int:
        return 1


class ServerError(OsmoError):
    """The service, or what signs in to it, fell over. Exit 10."""

    @property
    def exit(self) -> int:
        return 10


class Unreachable(Exception):
    """No connection, or one that broke. Exit 10."""
