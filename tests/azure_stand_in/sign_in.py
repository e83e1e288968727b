"""Signing in at `login.microsoftonline.com`: tokens for a client with the right secret, or with a federated token."""

import base64
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure_stand_in.certificates import Certificates
from azure_stand_in.serving import Server, answer_json

TENANT = "11111111-1111-1111-1111-111111111111"
OBJECT = "22222222-2222-2222-2222-222222222222"
SECRET = "the-right-secret"
FEDERATED = "a federated token"
STORAGE = "https://storage.azure.com"
LOGIN = f"https://login.microsoftonline.com/{TENANT}"


def token(audience: str = STORAGE, client: str = "tests") -> str:
    """A token as Azurite takes it: it looks at the claims, not at the signature."""
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
        "oid": OBJECT,
        "sub": OBJECT,
        "tid": TENANT,
        "appid": client,
        "ver": "1.0",
    }
    return ".".join([_part({"alg": "RS256", "typ": "JWT"}), _part(claims), "c2ln"])


class SignIn(Server):
    """The tenant. requests: `METHOD path`, as they came."""

    def __init__(self, made: Certificates) -> None:
        self.requests: list[str] = []
        super().__init__(_Handler, made)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SignIn

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        path = urlsplit(self.path).path
        if path.endswith("/openid-configuration"):
            ends = {"token": "/oauth2/v2.0/token", "authorization": "/oauth2/v2.0/authorize", "device": "/devicecode"}
            found = {f"{name}_endpoint": LOGIN + end for name, end in ends.items()}
            answer_json(self, 200, {**found, "issuer": f"{LOGIN}/v2.0"})
        elif path.endswith("/discovery/instance"):
            names = {"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net"}
            metadata = [{**names, "aliases": ["login.microsoftonline.com"]}]
            found = f"{LOGIN}/v2.0/.well-known/openid-configuration"
            answer_json(self, 200, {"tenant_discovery_endpoint": found, "api-version": "1.1", "metadata": metadata})
        else:
            answer_json(self, 404, {"error": "not_found"})

    def do_POST(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        given = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        if urlsplit(self.path).path != f"/{TENANT}/oauth2/v2.0/token":
            self._refuse("invalid_request", "AADSTS90002: Tenant not found.")
        elif "client_assertion" in given and not _federated(given):
            self._refuse("invalid_client", "AADSTS700213: No matching federated identity record found for assertion.")
        elif "client_assertion" not in given and given.get("client_secret") != [SECRET]:
            self._refuse("invalid_client", "AADSTS7000215: Invalid client secret provided. Ensure it is the right one.")
        elif not given.get("scope", [""])[0].endswith("/.default"):
            self._refuse("invalid_scope", "AADSTS70011: The provided value for scope is not valid.")
        else:
            audience = given["scope"][0].split("/.default")[0].strip("/")
            made = token(audience, given["client_id"][0])
            answer_json(self, 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": made})

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _refuse(self, error: str, why: str) -> None:
        answer_json(self, 401, {"error": error, "error_description": why})


def _federated(given: dict[str, list[str]]) -> bool:
    """Whether the assertion is the one that the cluster's token file holds."""
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return given["client_assertion"] == [FEDERATED] and given.get("client_assertion_type") == [kind]


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
