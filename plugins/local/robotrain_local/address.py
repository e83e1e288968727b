"""A rule on the tracking address: it is kept in plans and records, so no secret may be in it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.problem import Instead, Problem, Stage


def secrets_in(address: str) -> Iterator[Problem]:
    """A user's name or password before the host; neither is repeated."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    yield Problem(
        code="secret-in-address",
        stage=Stage.PARSE,
        title="a tracking address must not carry a user or a password",
        where="--tracking-uri",
        given=bare.replace("://", "://***@", 1),
        why="It would be written into the plan and the record of the run.",
        instead=(Instead(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set"),),
    )
