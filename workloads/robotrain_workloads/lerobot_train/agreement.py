"""What the processes of one training tell each other, through files in a folder of the machine they share.

Each hears of a stop at another step, and one that ended alone would leave the others waiting for its gradients. So the
first process names a step, one ahead, before it goes on to it. No gradient of that step is complete without its own:
whoever has done that step finds the name there. It costs one look for a file a step, and there is nothing to wait for.
"""

import os
from contextlib import suppress
from pathlib import Path

FOLDER = "ROBOTRAIN_AGREEMENT"
"""The environment name of the folder; it is there in each of several processes that train together."""


class Agreement:
    """One folder. `ask` and `failure` are for the process that starts the others, the rest is for those."""

    def __init__(self, folder: Path) -> None:
        self._began = folder / "began"
        self._asked = folder / "asked"
        self._last = folder / "last"
        self._failed = folder / "failed"

    def begin(self) -> None:
        """A step is done: from now on a stop waits for a checkpoint."""
        self._began.touch()

    @property
    def begun(self) -> bool:
        """Whether there is something that a checkpoint could save."""
        return self._began.exists()

    def ask(self) -> None:
        """Training is to stop."""
        self._asked.touch()

    @property
    def asked(self) -> bool:
        """Whether it is to stop."""
        return self._asked.exists()

    def name(self, step: int) -> None:
        """The step after which all of them save and end. Only for the first process."""
        scratch = self._last.with_suffix(".part")
        scratch.write_text(str(step))
        os.replace(scratch, self._last)

    @property
    def last(self) -> int | None:
        """The step that was named, if any."""
        with suppress(FileNotFoundError):
            return int(self._last.read_text())
        return None

    def fail(self, text: str) -> None:
        """Why this process fails. Only the first one is kept: the others fail because it is gone."""
        with suppress(FileExistsError), self._failed.open("x", encoding="utf-8") as file:
            file.write(text)

    @property
    def failure(self) -> str:
        """What the first that failed said; empty when it could not say anything."""
        with suppress(FileNotFoundError):
            return self._failed.read_text(encoding="utf-8")
        return ""


def of_this_process() -> Agreement | None:
    """The one this process takes part in; None when it trains alone."""
    folder = os.environ.get(FOLDER)
    return Agreement(Path(folder)) if folder else None
