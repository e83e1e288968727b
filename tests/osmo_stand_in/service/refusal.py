"""The answer of the service to a request that it refuses."""

STATUSES = {"SERVER": 500, "DENIED": 403}


class Refusal(Exception):
    """An answer that is no success. kind: OSMO's `error_code`, or what it does not have one for. workflow: whose."""

    def __init__(self, kind: str, message: str, workflow: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.workflow = kind, message, workflow
        self.status = STATUSES.get(kind, 400)
