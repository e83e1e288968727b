"""Files of a source, listed and downloaded on the submit side by what transfers them."""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain.model.source import SourceError

from robotrain_sources import parallel
from robotrain_sources.fetching.errors import describe_file_change
from robotrain_sources.transfer.origin import CLIENT_OPTIONS, DataOrigin

LIST_SECONDS = 20.0
THREADS = 16


def list_sizes(open_origin: Callable[[], DataOrigin], service: str) -> Mapping[str, int]:
    """Return the size of each file. Raise SourceError."""

    def list_files() -> Mapping[str, int]:
        origin = open_origin()
        try:
            return {file.name: file.size for file in origin.list_files()}
        except Exception as error:
            raise SourceError(f"{origin.explain_error(error)}.") from None

    return parallel.run_with_deadline(LIST_SECONDS, list_files, service)


def read_files(
    open_origin: Callable[[], DataOrigin], role: str, paths: Sequence[str], seconds: float, service: str
) -> dict[str, bytes]:
    """Return the content of those of `paths` that a source has, within so many seconds. Raise SourceError."""
    return _request_each(lambda answer: bytes(answer.bytes()), "get", open_origin, role, paths, seconds, service)


def find_missing(
    open_origin: Callable[[], DataOrigin], role: str, paths: Sequence[str], seconds: float, service: str
) -> list[str]:
    """Return those of `paths` that a source does not have, as `read_files` looks for them. Raise SourceError."""
    answers = _request_each(lambda answer: b"", "head", open_origin, role, paths, seconds, service)
    return [path for path in paths if path not in answers]


def _request_each(
    take: Callable[[Any], bytes],
    request: str,
    open_origin: Callable[[], DataOrigin],
    role: str,
    paths: Sequence[str],
    seconds: float,
    service: str,
) -> dict[str, bytes]:
    answers: dict[str, bytes] = {}

    def request_all() -> None:
        origin = open_origin()
        try:
            if role == "resume":
                list(origin.list_files())  # which says where the files of a checkpoint are
            send: Any = getattr(importlib.import_module("obstore"), request)
            store = origin.open_store(CLIENT_OPTIONS)

            def request_file(path: str, stopped: threading.Event) -> None:
                try:
                    answers[path] = take(send(store, origin.get_store_path(path)))
                except Exception as error:
                    if describe_file_change(error) != "deleted":
                        raise

            parallel.run_parallel(request_file, paths, len(paths))
        except Exception as error:
            raise SourceError(f"{origin.explain_error(error)}.") from None

    parallel.run_with_deadline(seconds, request_all, service)
    return answers


def download(
    open_origin: Callable[[], DataOrigin], paths: Sequence[str], folder: Path, seconds: float, service: str
) -> None:
    """Write files below a folder, within so many seconds. Raise SourceError."""

    def download_all() -> None:
        origin = open_origin()
        library, store = importlib.import_module("obstore"), origin.open_store(CLIENT_OPTIONS)

        def download_file(path: str, stopped: threading.Event) -> None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for piece in library.get(store, origin.get_store_path(path)).stream():
                    if stopped.is_set():
                        return
                    file.write(piece)

        try:
            parallel.run_parallel(download_file, paths, min(THREADS, len(paths)))
        except Exception as error:
            raise SourceError(f"{origin.explain_error(error)}.") from None

    parallel.run_with_deadline(seconds, download_all, service)
