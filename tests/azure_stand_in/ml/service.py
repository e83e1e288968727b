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


def answer(ml: Ml, request: Asked) -> Answer:
    line = f"{request.method} {request.rest}"
    if any(re.search(pattern, line, re.IGNORECASE) for pattern in ml.denied):
        word = {"GET": "read", "PUT": "write", "DELETE": "delete"}.get(request.method, "action")
        raise make_unauthorized(f"{KIND}/{'/'.join(request.rest.strip('/').split('/')[::2])}/{word}", request.path)
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, request.rest.rstrip("/"), re.IGNORECASE)
        if match and request.method == method:
            status, body = act(ml, request, *match.groups())
            return status, make_page(request, body["value"]) if body and set(body) == {"value"} else body
    raise Refused(404, "ResourceNotFound", f"The resource {request.rest} could not be found.")


def make_page(request: Asked, whole: list[Any]) -> dict[str, Any]:
    """What fits into one answer, and where the rest is."""
    begin, size = int(request.query.get("$skip") or 0), min(PAGE, int(request.query.get("$top") or PAGE))
    following = urlencode({**request.query, "$skip": str(begin + size)})
    link = {"nextLink": f"https://{request.host}{request.path}?{following}"} if begin + size < len(whole) else {}
    return {"value": whole[begin : begin + size], **link}
