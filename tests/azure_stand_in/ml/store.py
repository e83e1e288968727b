"""The storage account of a workspace, past whatever stands in front of it: in Azurite, or in this process."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import Protocol
from urllib.parse import quote, urlencode

from azure_stand_in import keys
from azure_stand_in.azurite import Store as Running
from azure_stand_in.blobs import Blobs
from azure_stand_in.sign_in import token


class Store(Protocol):
    """The blobs of one account."""

    account: str

    def put(self, container: str, files: Mapping[str, bytes]) -> None:
        """Make the container when it is not there, and its blobs."""

    def get(self, container: str, name: str) -> bytes | None:
        """The content of a blob; None when there is none."""

    def metadata(self, container: str, name: str) -> Mapping[str, str] | None:
        """That of a blob; None when there is none."""

    def names(self, container: str, prefix: str = "") -> list[str]:
        """The blobs whose names begin so."""

    def delete(self, container: str, name: str) -> None:
        """Delete a blob."""

    def append(self, container: str, name: str, content: bytes) -> None:
        """Make an append blob longer; it is made when it is not there."""


def signed(store: Store, container: str, permissions: str, seconds: int = 3600) -> str:
    """The address of a container, with a signature."""
    url = f"https://{store.account}.blob.core.windows.net/{container}"
    return f"{url}?{keys.sas(store.account, container, permissions, seconds)}"


def signed_blob(store: Store, container: str, name: str, permissions: str = "r") -> str:
    """The address of a blob, with a signature."""
    url, _, query = signed(store, container, permissions).partition("?")
    return f"{url}/{quote(name)}?{query}"


class Stored(Blobs):
    """In Azurite."""

    def __init__(self, account: str, store: Running) -> None:
        super().__init__(account, store)
        self.account = account

    def get(self, container: str, name: str) -> bytes | None:
        status, content, _ = self._asked("GET", f"/{container}/{quote(name)}")
        return content if status == 200 else None

    def metadata(self, container: str, name: str) -> Mapping[str, str] | None:
        status, _, headers = self._asked("HEAD", f"/{container}/{quote(name)}")
        mark = "x-ms-meta-"
        found = {key[len(mark) :]: value for key, value in headers.items() if key.lower().startswith(mark)}
        return found if status == 200 else None

    def names(self, container: str, prefix: str = "") -> list[str]:
        query = urlencode({"restype": "container", "comp": "list", "prefix": prefix})
        status, content, _ = self._asked("GET", f"/{container}?{query}")
        return [str(one.text) for one in ET.fromstring(content).iter("Name")] if status == 200 else []

    def append(self, container: str, name: str, content: bytes) -> None:
        at = f"/{container}/{quote(name)}"
        if self.metadata(container, name) is None:
            self._asked("PUT", at, b"", {"x-ms-blob-type": "AppendBlob"})
        self._asked("PUT", f"{at}?comp=appendblock", content)

    def _asked(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, bytes, dict[str, str]]:
        with self._reached() as store:
            store.request(method, path, body, {**self._ours(body), **headers})
            came = store.getresponse()
            return came.status, came.read(), dict(came.getheaders())

    def _ours(self, body: bytes) -> dict[str, str]:
        return {
            "Host": f"{self.account}.blob.core.windows.net",
            "Authorization": f"Bearer {token()}",
            "x-ms-version": keys.SERVICE,
            "x-ms-date": formatdate(usegmt=True),
            "Content-Length": str(len(body)),
        }
