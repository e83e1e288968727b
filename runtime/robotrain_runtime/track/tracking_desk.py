"""What the tracking process does when it is asked, beside writing events down: checkpoints and results become
artifacts, checkpoints and policies versions of a model.
"""

import queue
import threading

from robotrain_runtime import emit
from robotrain_runtime.courier import words
from robotrain_runtime.track import asking, tracking_artifacts, tracking_registry
from robotrain_runtime.track.asking import ARTIFACT, REGISTER, RESULTS, Answer, Ask
from robotrain_runtime.track.tracking_store import Store

DONE_BY = {
    ARTIFACT: tracking_artifacts.publish,
    RESULTS: tracking_artifacts.results,
    REGISTER: tracking_registry.register,
}


class Desk:
    """Does what it is asked, one after another, in a thread of its own: a large upload holds no metrics up."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._inbox: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, asked: Ask) -> None:
        """One more; returns at once."""
        self._inbox.put(asked)

    def _run(self) -> None:
        while True:
            emit.line(asking.dump(self._answer(self._inbox.get())))

    def _answer(self, asked: Ask) -> Answer:
        try:
            return Answer(number=asked.number, body=DONE_BY[asked.what](Store(self._uri), asked.body))
        except Exception as error:
            return Answer(number=asked.number, body={}, error=words(error))
