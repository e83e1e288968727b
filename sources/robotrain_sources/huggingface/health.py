"""Whether this machine is signed in to the Hugging Face Hub, and, when that may be asked, whether the Hub agrees."""

import os
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from robotrain.health import Finding, HealthCheck, ok, warn
from robotrain.problem import Instead

LOG_IN = Instead("hf auth login", "or set HF_TOKEN")


def checks() -> Iterable[HealthCheck]:
    """What a submit needs of the Hub; a job without one of its repositories needs nothing of it."""
    return (
        HealthCheck(name="Hugging Face", look=token),
        HealthCheck(name="Hub sign-in", look=sign_in, online=True),
    )


def token() -> Iterator[Finding]:
    """The token, by where it lies; nobody is asked about it."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield warn(
            "HF_HUB_OFFLINE is set: what a repository means now cannot be asked", Instead("unset HF_HUB_OFFLINE")
        )
    if not get_token():
        yield ok("no token: public repositories only; `hf auth login` or HF_TOKEN opens your own")
    elif os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        yield ok("a token is set (HF_TOKEN)")
    else:
        yield ok(f"a token is there ({constants.HF_TOKEN_PATH})")


def sign_in() -> Iterator[Finding]:
    """What the Hub says of the token. Of an error only its kind is told: its text could repeat the token."""
    from huggingface_hub import HfApi, get_token

    if not get_token():
        return
    hub = HfApi(library_name="robotrain")
    where = urlsplit(hub.endpoint).hostname or "the Hub"
    try:
        known = hub.whoami()
        yield ok(f"{where} knows you as {known['name']}")
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 401:
            yield warn(f"{where} does not take the token: it is wrong or has expired", LOG_IN)
        elif status:
            yield warn(f"{where} answered with {status}, so the token was not looked at")
        else:
            yield warn(f"{where} cannot be asked: {type(error).__name__}")
