"""`python -m robotrain_s3.publish_program ADDRESS`: publishes below a prefix, asked over its pipe."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.plugin import serve_requests

from robotrain_s3 import error_text
from robotrain_s3.address import parse
from robotrain_s3.publisher import Publisher
from robotrain_s3.target import INSPECT, PUT, TRIM

Body = Mapping[str, Any]


class PublishServer:
    """Handlers of requests. What boto3 raises becomes OSError with a sentence."""

    def __init__(self, address: str) -> None:
        self._at = parse(address)

    def inspect(self, body: Body) -> Body:
        """Check that one may write and delete; return what wrote each checkpoint there, by its name."""

        def inspect(publisher: Publisher) -> Body:
            publisher.check_access()
            keys = ("run", "submission", "tracking")
            found = publisher.list_checkpoints()
            return {"checkpoints": {name: {key: getattr(one, key) for key in keys} for name, one in found}}

        return self._run(inspect)

    def put(self, body: Body) -> Body:
        """Publish a checkpoint or results; return whether it is new."""
        return self._run(lambda publisher: {"new": publisher.put(Path(body["folder"]), str(body["digest"]))})

    def trim(self, body: Body) -> Body:
        """Remove the oldest checkpoints of a run; return their names."""
        return self._run(lambda publisher: {"removed": publisher.trim(str(body["run"]), int(body["keep"]))})

    def _run(self, act: Callable[[Publisher], Body]) -> Body:
        try:
            return act(Publisher(self._at))
        except Exception as error:
            raise error_text.make_write_error(error, self._at) from error


if __name__ == "__main__":
    server = PublishServer(sys.argv[1])
    serve_requests({INSPECT: server.inspect, PUT: server.put, TRIM: server.trim})
