"""The identity of a machine without one: what a file holds. The file is read whenever it is wanted, as somebody may put
a newer secret there while a run goes on.
"""

import importlib
from typing import Any

from robotrain_sources.blob_url import secret_file

LONG = 2**31
READER = "Storage Blob Data Reader"
NETWORK = "if all that is so, the account's network rules keep this machine out"


class Kept:
    """What is in a file, as an identity. Raises Refused when that is nothing blobs are read with."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._form = secret_file.read(file).form

    def sdk(self, account: str) -> Any:
        """A credential of the SDK."""
        secret, core = secret_file.read(self._file), importlib.import_module("azure.core.credentials")
        if secret.form == "key":
            return core.AzureNamedKeyCredential(account, secret.text)
        return core.AzureSasCredential(secret.text) if secret.form == "sas" else self

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """The token, as the SDK asks a credential for one."""
        secret = secret_file.read(self._file)
        ends = int(secret.ends.timestamp()) if secret.ends else LONG
        return importlib.import_module("azure.core.credentials").AccessToken(secret.text, ends)

    def provide(self) -> dict[str, Any]:
        """What the file holds now, under obstore's name for it."""
        secret = secret_file.read(self._file)
        name = {"key": "access_key", "sas": "sas_token", "token": "token"}[secret.form]
        return {name: secret.text, "expires_at": secret.ends}

    def who(self) -> str:
        """By its file, and its holder where a token names one."""
        secret = secret_file.read(self._file)
        holder = secret_file.holder(secret.text) if secret.form == "token" else ""
        return f"{secret.what} in {secret.place}{f' ({holder})' if holder else ''}"

    def way(self, role: str, known: bool) -> str:
        """What a secret of that form must be."""
        if self._form == "key":
            return f"it must be a key of that account, and the account must allow access by key; {NETWORK}"
        if self._form == "sas":
            allowed = "read and to list (sp=rl)" if role == READER else "write, read, list and delete (sp=racwdl)"
            return f"it must be for that container, and allow to {allowed}; {NETWORK}"
        if not known:
            return (
                f"it must be for Azure Storage, of the account's own tenant, and its holder needs the role {role} there"
            )
        return f"its holder needs the role {role} there; {NETWORK}"
