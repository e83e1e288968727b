"""The managed identity of a container: an address of its own that hands out tokens to who knows its header."""

import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from azure_stand_in.serving import Server, answer_json
from azure_stand_in.sign_in import token

HEADER = "the-right-header"
OF_JOBS = "/MSI/auth"
WHY = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


class Managed(Server):
    """clients: the identities that are assigned here. requests: `METHOD path?query`, as they came."""

    def __init__(self, *clients: str) -> None:
        self.clients = clients
        self.requests: list[str] = []
        super().__init__(_Handler)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a platform sets in a container."""
        return {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.port}/msi/token", "IDENTITY_HEADER": HEADER}

    @property
    def environ_of_job(self) -> Mapping[str, str]:
        """What Azure Machine Learning sets, as Azure's own sign-ins know it."""
        return {"MSI_ENDPOINT": f"http://127.0.0.1:{self.port}{OF_JOBS}", "MSI_SECRET": HEADER}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Managed

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        split = urlsplit(self.path)
        header, named = ("secret", "clientid") if split.path == OF_JOBS else ("X-IDENTITY-HEADER", "client_id")
        asked = {name: values[0] for name, values in parse_qs(split.query).items()}
        if self.headers.get(header) != HEADER:
            answer_json(self, 401, {"statusCode": 401, "message": "Access denied."})
        elif asked.get(named) not in self.server.clients or "resource" not in asked:
            answer_json(self, 400, {"statusCode": 400, "message": WHY})
        else:
            resource, client = asked["resource"], asked[named]
            made = {"access_token": token(resource, client), "expires_on": str(int(time.time()) + 3600)}
            answer_json(self, 200, {**made, "resource": resource, "token_type": "Bearer", "client_id": client})

    def log_message(self, format: str, *arguments: object) -> None:
        pass
