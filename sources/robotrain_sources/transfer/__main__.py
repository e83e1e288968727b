"""The transfer program of the data environment: surveys sources, and fetches them on request.

Run as `python -m robotrain_sources.transfer`. It answers requests until the process that started it ends.
"""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Download
from robotrain_runtime.process.helper_process import serve_requests

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import origin
from robotrain_sources.transfer.downloader import Downloader
from robotrain_sources.transfer.survey import SourceSurvey, Survey

Body = Mapping[str, Any]


class TransferService:
    """Answers the requests of one transfer; an answer with a `reason` is a failure."""

    _request: origin.TransferRequest
    _surveys: Sequence[SourceSurvey]
    _downloader: Downloader
    """It holds the locks of the folders until the program ends."""

    def survey(self, body: Body) -> Body:
        """Survey all sources; answer what was found about each."""
        self._request = origin.load_request(body)
        return self._answer(self._survey)

    def fetch(self, body: Body) -> Body:
        """Fetch what was surveyed; answer the folder of each source."""
        return self._answer(self._fetch)

    def _answer(self, action: Callable[[], Sequence[Any]]) -> Body:
        try:
            return {"sources": action()}
        except Exception as error:
            failure = errors.make_fetch_error(error, Path(self._request.cache))
            if failure is not error and not isinstance(error, OSError):
                print("".join(traceback.format_tb(error.__traceback__)), end="", flush=True)  # the answer says what
            return {"reason": str(failure), "fault": failure.fault}

    def _survey(self) -> Sequence[Any]:
        self._surveys = asyncio.run(Survey(self._request).run())
        return [survey.to_answer() for survey in self._surveys]

    def _fetch(self) -> Sequence[Any]:
        for survey in self._surveys:
            if survey.problems:
                raise FetchError("; ".join(survey.problems).replace("\n", ": "), survey.fault)
        self._downloader = Downloader(self._request, self._surveys, _report_progress)
        folders = self._downloader.fetch_folders()
        threading.Thread(target=self._downloader.sync_to_disk, daemon=True).start()
        return [str(folders[survey.folder]) for survey in self._surveys if survey.folder]


def _report_progress(done: int, total: int, rate: float) -> None:
    event.emit_event(Download(done=done, total=total, rate=rate))


def main() -> None:
    """Serve the requests of one transfer."""
    logging.disable(logging.CRITICAL)  # answers carry what libraries report, without secrets
    service = TransferService()
    serve_requests({origin.SURVEY: service.survey, origin.FETCH: service.fetch})


if __name__ == "__main__":
    main()
