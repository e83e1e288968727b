"""Signing in at `login.microsoftonline.com`: tokens for a client with the right secret, or with a federated token."""

import base64
import json
import time
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server

TENANT = "11111111-1111-1111-1111-111111111111"
OBJECT = "22222222-2222-2222-2222-222222222222"
PERSON = "somebody"
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
        "name": PERSON,
        "ver": "1.0",
    }
    return ".".join([_part({"alg": "RS256", "typ": "JWT"}), _part(claims), "c2ln"])


class SignIn(Server):
    """The tenant. requests: `METHOD path`, as they came."""

    def __init__(self, made: Certificates) -> None:
        super().__init__(_Handler, made)


class _Handler(Handler):
    server: SignIn

    def do_GET(self) -> None:
        self.received()
        path = urlsplit(self.path).path
        if path.endswith("/openid-configuration"):
            ends = {"token": "/oauth2/v2.0/token", "authorization": "/oauth2/v2.0/authorize", "device": "/devicecode"}
            discovery = {f"{name}_endpoint": LOGIN + end for name, end in ends.items()}
            self.answer_json(200, {**discovery, "issuer": f"{LOGIN}/v2.0"})
        elif path.endswith("/discovery/instance"):
            names = {"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net"}
            metadata = [{**names, "aliases": ["login.microsoftonline.com"]}]
            discovery = f"{LOGIN}/v2.0/.well-known/openid-configuration"
            self.answer_json(200, {"tenant_discovery_endpoint": discovery, "api-version": "1.1", "metadata": metadata})
        else:
            self.answer_json(404, {"error": "not_found"})

    def do_POST(self) -> None:
        form = parse_qs(self.received().decode())
        if urlsplit(self.path).path != f"/{TENANT}/oauth2/v2.0/token":
            self._refuse("invalid_request", "AADSTS90002: Tenant not found.")
        elif "client_assertion" in form and not _federated(form):
            self._refuse("invalid_client", "AADSTS700213: No matching federated identity record found for assertion.")
        elif "client_assertion" not in form and form.get("client_secret") != [SECRET]:
            self._refuse("invalid_client", "AADSTS7000215: Invalid client secret provided. Ensure it is the right one.")
        elif not form.get("scope", [""])[0].endswith("/.default"):
            self._refuse("invalid_scope", "AADSTS70011: The provided value for scope is not valid.")
        else:
            audience = form["scope"][0].split("/.default")[0].strip("/")
            made = token(audience, form["client_id"][0])
            self.answer_json(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": made})

    def _refuse(self, error: str, message: str) -> None:
        self.answer_json(401, {"error": error, "error_description": message})


def _federated(form: dict[str, list[str]]) -> bool:
    """Whether the assertion is the one that the cluster's token file holds."""
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return form["client_assertion"] == [FEDERATED] and form.get("client_assertion_type") == [kind]


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


HEADER = "the-right-header"
OF_JOBS = "/MSI/auth"
WHY = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


class Managed(Server):
    """clients: the identities that are assigned here. requests: `METHOD path?query`, as they came."""

    def __init__(self, *clients: str) -> None:
        self.clients = clients
        super().__init__(_ManagedHandler)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a platform sets in a container."""
        return {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.port}/msi/token", "IDENTITY_HEADER": HEADER}

    @property
    def environ_of_job(self) -> Mapping[str, str]:
        """What Azure Machine Learning sets, as Azure's own sign-ins know it."""
        return {"MSI_ENDPOINT": f"http://127.0.0.1:{self.port}{OF_JOBS}", "MSI_SECRET": HEADER}


class _ManagedHandler(Handler):
    server: Managed

    def do_GET(self) -> None:
        self.received()
        split = urlsplit(self.path)
        header, named = ("secret", "clientid") if split.path == OF_JOBS else ("X-IDENTITY-HEADER", "client_id")
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        if self.headers.get(header) != HEADER:
            self.answer_json(401, {"statusCode": 401, "message": "Access denied."})
        elif query.get(named) not in self.server.clients or "resource" not in query:
            self.answer_json(400, {"statusCode": 400, "message": WHY})
        else:
            resource, client = query["resource"], query[named]
            made = {"access_token": token(resource, client), "expires_on": str(int(time.time()) + 3600)}
            self.answer_json(200, {**made, "resource": resource, "token_type": "Bearer", "client_id": client})


def read_claims(headers: Message) -> dict[str, Any]:
    """Those of a token that holds now; empty without one."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if kind == "Bearer" and claims["nbf"] <= time.time() < claims["exp"] else {}


def audience_of(headers: Message) -> str:
    """Of such a token; empty without one."""
    return str(read_claims(headers).get("aud", ""))
