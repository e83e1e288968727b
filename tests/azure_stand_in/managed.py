"""The managed identity of a container: an address of its own that hands out tokens to who knows its header."""

import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from azure_stand_in.serving import Server, answer_json
from azure_stand_in.sign_in import token

HEADER = "the-right-header"
WHY = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


class Managed(Server):
    """client: the one identity that is assigned here. requests: `METHOD path?query`, as they came."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.requests: list[str] = []
        super().__init__(_Handler)

    @property
    def environ(self) -> Mapping[str, str]:
        """What the platform sets in a container."""
        return {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.port}/msi/token", "IDENTITY_HEADER": HEADER}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Managed

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        asked = parse_qs(urlsplit(self.path).query)
        if self.headers.get("X-IDENTITY-HEADER") != HEADER:
            answer_json(self, 401, {"statusCode": 401, "message": "Access denied."})
        elif asked.get("client_id") != [self.server.client] or "resource" not in asked:
            answer_json(self, 400, {"statusCode": 400, "message": WHY})
        else:
            resource = asked["resource"][0]
            made = {"access_token": token(resource, self.server.client), "expires_on": str(int(time.time()) + 3600)}
            told = {"resource": resource, "token_type": "Bearer", "client_id": self.server.client}
            answer_json(self, 200, {**made, **told})

    def log_message(self, format: str, *arguments: object) -> None:
        pass
