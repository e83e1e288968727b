"""Runs in the environment: writes below a prefix, and removes, when it is asked over its pipe.

`python -m robotrain_s3.publish ADDRESS`
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.plugin import serve_requests

from robotrain_s3 import unread
from robotrain_s3.address import parse
from robotrain_s3.published import Published
from robotrain_s3.target import LOOK, PUT, TRIM

Body = Mapping[str, Any]


class Desk:
    """Does what is asked. What boto3 raises becomes OSError with a sentence."""

    def __init__(self, address: str) -> None:
        self._at = parse(address)

    def look(self, body: Body) -> Body:
        """Whether one may write and delete; what wrote each checkpoint that lies there, by its name."""

        def see(found: Published) -> Body:
            found.probe()
            marked = ("run", "submission", "tracking")
            return {"whole": {name: {key: getattr(by, key) for key in marked} for name, by in found.whole()}}

        return self._told(see)

    def put(self, body: Body) -> Body:
        """A checkpoint or results, whole or not there; whether it is new."""
        return self._told(lambda found: {"new": found.put(Path(body["folder"]), str(body["digest"]))})

    def trim(self, body: Body) -> Body:
        """The oldest of a run; their names."""
        return self._told(lambda found: {"removed": found.trim(str(body["run"]), int(body["keep"]))})

    def _told(self, act: Callable[[Published], Body]) -> Body:
        try:
            return act(Published(self._at))
        except Exception as error:
            raise unread.of_writing(error, self._at) from error


if __name__ == "__main__":
    desk = Desk(sys.argv[1])
    serve_requests({LOOK: desk.look, PUT: desk.put, TRIM: desk.trim})
