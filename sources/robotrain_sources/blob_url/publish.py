"""Runs in the data environment: writes checkpoints below a prefix, and removes them, when it is asked over its pipe.

`python -m robotrain_sources.blob_url.publish URL [--credential FILE] [--way TEXT]`
"""

import argparse
import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.assistant import serve

from robotrain_sources.blob_url import identity, publish_refused
from robotrain_sources.blob_url.prefix import BlobPrefix, parse
from robotrain_sources.blob_url.publish_blobs import Container
from robotrain_sources.blob_url.publish_checkpoint import Published
from robotrain_sources.blob_url.target import LOOK, PUT, TRIM
from robotrain_sources.fetching.answer import Refused

Body = Mapping[str, Any]


def main() -> None:
    """Serve until whoever started it is gone."""
    parser = argparse.ArgumentParser(prog="publish")
    parser.add_argument("url", type=parse)
    parser.add_argument("--credential", default="")
    parser.add_argument("--way", default="", help="what to type to give the job a credential")
    given = parser.parse_args()
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in the answers
    desk = Desk(given.url, given.credential, given.way)
    serve({PUT: desk.put, TRIM: desk.trim, LOOK: desk.look})


class Desk:
    """Does what is asked. What the SDK raises becomes OSError with a sentence."""

    def __init__(self, at: BlobPrefix, credential: str, way: str = "") -> None:
        self._at = at
        self._credential = credential
        self._way = way

    def put(self, body: Body) -> Body:
        """A checkpoint, whole or not there; whether it is new."""
        return self._told(lambda found: {"new": found.put(Path(body["folder"]), str(body["digest"]))})

    def trim(self, body: Body) -> Body:
        """The oldest of a run; their names."""
        return self._told(lambda found: {"removed": found.trim(str(body["run"]), int(body["keep"]))})

    def look(self, body: Body) -> Body:
        """Whether one may write and delete; what wrote each checkpoint that lies there, by its name."""

        def see(found: Published) -> Body:
            found.blobs.probe()
            return {"whole": {name: dataclasses.astuple(by) for name, by in found.whole().items() if name}}

        return self._told(see, asking=True)

    def _told(self, act: Callable[[Published], Body], *, asking: bool = False) -> Body:
        try:
            who = identity.of(self._credential)
        except Refused as refused:
            raise OSError(str(refused)) from refused
        try:
            return act(Published(self._at, Container(self._at, who, asking=asking)))
        except Exception as error:
            raise publish_refused.of(error, self._at, who, self._way) from error


if __name__ == "__main__":
    main()
