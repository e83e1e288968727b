"""Azure's resource manager below a workspace: the handler of each request."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from azure_stand_in.ml import assets, computes, datastores, jobs
from azure_stand_in.ml.contents import KIND, Ml
from azure_stand_in.ml.request import Answer, Asked, Refused, make_unauthorized

PAGE = 2
Route = tuple[str, str, Callable[..., Answer]]
ROUTES: tuple[Route, ...] = (*computes.ROUTES, *datastores.ROUTES, *assets.ROUTES, *jobs.ROUTES)


def answer(ml: Ml, asked: Asked) -> Answer:
    line = f"{asked.method} {asked.rest}"
    if any(re.search(pattern, line, re.IGNORECASE) for pattern in ml.denied):
        word = {"GET": "read", "PUT": "write", "DELETE": "delete"}.get(asked.method, "action")
        raise make_unauthorized(f"{KIND}/{'/'.join(asked.rest.strip('/').split('/')[::2])}/{word}", asked.path)
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, asked.rest.rstrip("/"), re.IGNORECASE)
        if match and asked.method == method:
            status, body = act(ml, asked, *match.groups())
            return status, make_page(asked, body["value"]) if body and set(body) == {"value"} else body
    raise Refused(404, "ResourceNotFound", f"The resource {asked.rest} could not be found.")


def make_page(asked: Asked, whole: list[Any]) -> dict[str, Any]:
    """What fits into one answer, and where the rest is."""
    begin, size = int(asked.query.get("$skip") or 0), min(PAGE, int(asked.query.get("$top") or PAGE))
    following = urlencode({**asked.query, "$skip": str(begin + size)})
    link = {"nextLink": f"https://{asked.host}{asked.path}?{following}"} if begin + size < len(whole) else {}
    return {"value": whole[begin : begin + size], **link}
