"""A rule on the tracking address: it is kept in plans and records, so no secret may be in it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact


def wrong_with(address: str) -> Iterator[Problem]:
    """No address at all, or one with a user, a query or a fragment; nothing of these is repeated."""
    try:
        parts = urlsplit(address)
    except ValueError:
        yield _problem(
            "tracking-address-malformed", "the tracking address is no URL", address, "MLflow could not open it."
        )
        return
    if address and not parts.scheme:
        why = "MLflow keeps no runs in bare folders any more."
        way = Instead(f"--tracking-uri sqlite:///{address}/mlflow.db")
        yield _problem("tracking-address-a-folder", "the tracking address is a folder", address, why, way)
    if "@" in parts.netloc or parts.query or parts.fragment:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        title = "a tracking address must not carry a user, a query or a fragment"
        why = "It would be written into the plan and the record of the run."
        way = Instead(f"--tracking-uri {bare}", "with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set")
        yield _problem("secret-in-address", title, address, why, way)


def _problem(code: str, title: str, address: str, why: str, *instead: Instead) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=title,
        where="--tracking-uri",
        given=redact(address),
        why=why,
        instead=instead,
    )
