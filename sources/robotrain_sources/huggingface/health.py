"""Whether this machine is signed in to the Hugging Face Hub, and, when that may be asked, whether the Hub agrees."""

import os
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from robotrain.errors import Suggestion
from robotrain.model.health import HealthCheck, HealthResult, report_ok, report_warning

LOG_IN = Suggestion("hf auth login", "or set HF_TOKEN")


def list_checks() -> Iterable[HealthCheck]:
    """What a submit needs of the Hub; a job without one of its repositories needs nothing of it."""
    return (
        HealthCheck(name="Hugging Face", run=check_token),
        HealthCheck(name="Hub sign-in", run=check_sign_in, online=True),
    )


def check_token() -> Iterator[HealthResult]:
    """The token, by where it lies; nobody is asked about it."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield report_warning(
            "HF_HUB_OFFLINE is set: what a repository means now cannot be asked", Suggestion("unset HF_HUB_OFFLINE")
        )
    if not get_token():
        yield report_ok("no token: public repositories only; `hf auth login` or HF_TOKEN opens your own")
    elif os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        yield report_ok("a token is set (HF_TOKEN)")
    else:
        yield report_ok(f"a token is there ({constants.HF_TOKEN_PATH})")


def check_sign_in() -> Iterator[HealthResult]:
    """What the Hub says of the token. Of an error only its kind is told: its text could repeat the token."""
    from huggingface_hub import HfApi, get_token

    if not get_token():
        return
    hub = HfApi(library_name="robotrain")
    where = urlsplit(hub.endpoint).hostname or "the Hub"
    try:
        known = hub.whoami()
        yield report_ok(f"{where} knows you as {known['name']}")
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 401:
            yield report_warning(f"{where} does not take the token: it is wrong or has expired", LOG_IN)
        elif status:
            yield report_warning(f"{where} answered with {status}, so the token was not looked at")
        else:
            yield report_warning(f"{where} cannot be asked: {type(error).__name__}")
