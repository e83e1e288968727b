"""A key vault at `NAME.vault.azure.net`: secrets, and the identities that may read them."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.ml.request import Refused
from azure_stand_in.sign_in import LOGIN, read_claims

AUDIENCE = "https://vault.azure.net"
VERSIONS = ("7.4", "7.5", "7.6")
VERSION = "5ec2e7" + "0" * 26
"""The one version that each secret has."""
NOT_LET_IN = (
    "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
    "definitions were changed recently, please observe propagation time.\r\nCaller: appid={client};\r\n"
    "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nAssignment: (not found)\r\nVault: {vault}"
)


@dataclass(frozen=True)
class Secret:
    value: str
    enabled: bool = True


class Vault(Server):
    """readers: clients whose role lets them read secrets; None for everybody."""

    def __init__(self, made: Certificates, name: str = "robots") -> None:
        self.host = f"{name}.vault.azure.net"
        self.secrets: dict[str, Secret] = {}
        self.readers: set[str] | None = None
        super().__init__(_Handler, made)

    def put(self, name: str, value: str, enabled: bool = True) -> str:
        self.secrets[name.lower()] = Secret(value, enabled)
        return f"https://{self.host}/secrets/{name}"

    def empty(self) -> None:
        self.requests.clear()
        self.faults.clear()
        self.secrets.clear()
        self.readers = None


class _Handler(Handler):
    server: Vault

    def do_GET(self) -> None:
        self.received()
        try:
            if self.fault.status:
                raise Refused(self.fault.status, self.fault.code, "The stand-in says so.")
            if read_claims(self.headers).get("aud") != AUDIENCE:
                raise Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            self.answer_json(200, self._found())
        except Refused as no:
            self._refuse(no)

    def _found(self) -> dict[str, Any]:
        split = urlsplit(self.path)
        match = re.fullmatch(r"/secrets/([0-9A-Za-z-]{1,127})(?:/([0-9a-f]{32})?)?", split.path)
        if parse_qs(split.query).get("api-version", [""])[0] not in VERSIONS:
            raise Refused(400, "BadParameter", "Missing or invalid required api-version parameter.")
        if match is None:
            raise Refused(400, "BadParameter", f"The request URI contains an invalid name: {split.path}")
        client = read_claims(self.headers)["appid"]
        if self.server.readers is not None and client not in self.server.readers:
            raise Refused(403, "ForbiddenByRbac", NOT_LET_IN.format(client=client, vault=self.server.host))
        name, version = match[1], match[2] or VERSION
        secret = self.server.secrets.get(name.lower())
        if secret is None or version != VERSION:
            message = (
                f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret"
            )
            raise Refused(404, "SecretNotFound", f"{message} you may be able to recover it using the correct command.")
        if not secret.enabled:
            raise Refused(403, "SecretDisabled", "Operation get is not allowed on a disabled secret.")
        at = f"https://{self.server.host}/secrets/{name}/{version}"
        return {"value": secret.value, "id": at, "attributes": {"enabled": True, "recoveryLevel": "Recoverable"}}

    def _refuse(self, no: Refused) -> None:
        error: dict[str, Any] = {"code": no.code, "message": no.message}
        if no.status == 403:
            error = {"code": "Forbidden", "message": no.message, "innererror": {"code": no.code}}
        challenge = {"WWW-Authenticate": f'Bearer authorization="{LOGIN}", resource="{AUDIENCE}"'}
        self.answer_json(no.status, {"error": error}, challenge if no.status == 401 else {})
