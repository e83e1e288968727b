"""Whether somebody is there at an address, whatever they answer: nobody signs in for that.

Asked through the library that uploads as well: its proxies and its certificates are those that count.
"""

import functools
import importlib
from typing import Any

SECONDS = 3.0


def answers(url: str) -> bool:
    """Whether there is an answer within seconds; a refusal is one."""
    request = importlib.import_module("azure.core.rest").HttpRequest("GET", url)
    try:
        answer = _sender().send_request(request, stream=True, connection_timeout=SECONDS, read_timeout=SECONDS)
    except Exception:  # of whichever library below
        return False
    answer.close()
    return True


@functools.cache
def _sender() -> Any:
    """One for this process. It signs nothing."""
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy()]
    return importlib.import_module("azure.core").PipelineClient("https://blob", policies=made)
