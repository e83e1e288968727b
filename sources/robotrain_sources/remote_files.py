"""Files of a source, listed and downloaded on the submit side by what transfers them."""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robotrain.model.source import SourceError

from robotrain_sources import parallel
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
