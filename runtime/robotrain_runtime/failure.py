"""How a run ends early: with a sentence for the person who runs it, and the exit code of the runtime."""

FAILED = 1
REFUSED = 2
PREFLIGHT = 4


class Failed(Exception):
    """The run cannot go on. The text is its reason."""

    def __init__(self, reason: str, exit_code: int = FAILED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
