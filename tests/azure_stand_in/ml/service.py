"""Azure's resource manager below a workspace: the handler of each request."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from azure_stand_in.ml import assets, computes, datastores, jobs, pipelines
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import Answer, Asked, Refused
from azure_stand_in.sign_in import OBJECT

Route = tuple[str, str, Callable[..., Answer]]
ROUTES: tuple[Route, ...] = (*computes.ROUTES, *datastores.ROUTES, *pipelines.ROUTES, *assets.ROUTES, *jobs.ROUTES)


def answer(ml: Ml, asked: Asked) -> Answer:
    line = f"{asked.method} {asked.rest}"
    if any(re.search(pattern, line, re.IGNORECASE) for pattern in ml.denied):
        raise _denied(asked)
    found = False
    for methods, pattern, act in ROUTES:
        if match := re.fullmatch(pattern, asked.rest.rstrip("/"), re.IGNORECASE):
            found = True
            if asked.method in methods.split():
                status, body = act(ml, asked, *match.groups())
                return status, paged(asked, body) if body and set(body) == {"value"} else body
    if found:
        raise Refused(405, "MethodNotAllowed", f"The requested resource does not support {asked.method}.")
    raise Refused(404, "ResourceNotFound", f"The resource {asked.rest} could not be found.")


def paged(asked: Asked, body: dict[str, Any], size: int = 2) -> dict[str, Any]:
    whole, begin = body["value"], int(asked.query.get("$skip") or 0)
    size = min(size, int(asked.query.get("$top") or size))
    following = urlencode({**asked.query, "$skip": str(begin + size)})
    link = {"nextLink": f"https://{asked.host}{asked.path}?{following}"} if begin + size < len(whole) else {}
    return {"value": whole[begin : begin + size], **link}


def _denied(asked: Asked) -> Refused:
    word = {"GET": "read", "PUT": "write", "DELETE": "delete"}.get(asked.method, "action")
    kind = "/".join(asked.rest.strip("/").split("/")[::2])
    action = f"Microsoft.MachineLearningServices/workspaces/{kind}/{word}"
    return Refused(
        403,
        "AuthorizationFailed",
        f"The client 'c' with object id '{OBJECT}' does not have authorization to perform action '{action}' over scope "
        f"'{asked.path}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
    )
