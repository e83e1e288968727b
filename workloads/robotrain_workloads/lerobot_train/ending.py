"""Being told to stop: once training goes on, one more checkpoint is saved first."""

import os
import signal
from types import FrameType

STOPPED = 128 + signal.SIGTERM


class Ending:
    """Hears SIGTERM. training: set when a step is done; from then on the end waits for a checkpoint."""

    def __init__(self) -> None:
        self.asked = False
        self.training = False
        self._alone = int(os.environ.get("WORLD_SIZE", "1")) == 1  # several ranks would have to agree on the step
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime hears it too, and passes it on as SIGTERM

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not (self.training and self._alone):
            raise SystemExit(STOPPED)
        if not self.asked:
            print("told to stop: saving a checkpoint first", flush=True)
        self.asked = True
