"""The answer of the service to a request that it refuses."""


class Refusal(Exception):
    """An answer that is no success. error_code: OSMO's name of the kind. workflow: whose, as the service says it."""

    def __init__(self, message: str, error_code: str, workflow: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.workflow = workflow
        self.status = status

    @property
    def body(self) -> dict[str, object] | str:
        """As JSON; the gateway's is text."""
        if self.status == 403:
            return self.message
        if self.status >= 500:
            return {"message": f"Internal server error: {self.message}"}
        return {"message": self.message, "error_code": self.error_code, "workflow_id": self.workflow}


def user(message: str) -> Refusal:
    """The asker is wrong, outside of a specification."""
    return Refusal(message, "USER")


def usage(message: str, workflow: str | None = None) -> Refusal:
    """The specification is wrong."""
    return Refusal(message, "USAGE", workflow)


def resource(message: str, workflow: str | None = None) -> Refusal:
    """No such machine."""
    return Refusal(message, "RESOURCE", workflow)


def credential(message: str) -> Refusal:
    """A secret is missing."""
    return Refusal(message, "CREDENTIAL")


def submission(message: str) -> Refusal:
    """It cannot be submitted as it is; not what the command calls a submission error."""
    return Refusal(message, "SUBMISSION")


def missing(message: str) -> Refusal:
    """The database does not have it."""
    return Refusal(message, "DATABASE")


def broken(message: str) -> Refusal:
    """The service fell over it."""
    return Refusal(message, "SERVER", status=500)


def denied() -> Refusal:
    """The gateway lets other roles do this."""
    return Refusal("access denied", "", status=403)
