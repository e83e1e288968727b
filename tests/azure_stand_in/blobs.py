"""The blobs of a storage account, accessed directly, without the faults of `front.py`."""

import base64
import contextlib
import hashlib
import http.client
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from azure_stand_in import keys
from azure_stand_in.sign_in import token

NOTHING: Mapping[str, str] = MappingProxyType({})
METADATA = "x-ms-meta-"


def signed(store: Any, container: str, permissions: str, seconds: int = 3600) -> str:
    """The address of a container, with a signature."""
    url = f"https://{store.account}.blob.core.windows.net/{container}"
    return f"{url}?{keys.sas(store.account, container, permissions, seconds)}"


def signed_blob(store: Any, container: str, name: str, permissions: str = "r") -> str:
    """The address of a blob, with a signature."""
    url, _, query = signed(store, container, permissions).partition("?")
    return f"{url}/{quote(name)}?{query}"


class Blobs:
    """The blobs of one account in Azurite; `Memory` has the same methods. port: of Azurite."""

    def __init__(self, account: str, port: int) -> None:
        self.account = account
        self._port = port

    def put(self, container: str, files: Mapping[str, bytes]) -> None:
        status, content, _ = self._asked("PUT", f"/{container}?restype=container")
        assert status in (201, 409), content
        with self._connected() as line:
            for name, content in files.items():
                self.put_one(container, name, content, line=line)

    def put_one(
        self,
        container: str,
        name: str,
        content: bytes,
        metadata: Mapping[str, str] = NOTHING,
        line: http.client.HTTPSConnection | None = None,
    ) -> None:
        """One blob, with the MD5 that the service computes on such an upload."""
        pairs = {f"{METADATA}{key}": value for key, value in metadata.items()}
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-md5": md5, **pairs}
        status, answer, _ = self._asked("PUT", f"/{container}/{quote(name)}", content, headers, line)
        assert status == 201, answer

    def get(self, container: str, name: str) -> bytes | None:
        status, content, _ = self._asked("GET", f"/{container}/{quote(name)}")
        return content if status == 200 else None

    def metadata(self, container: str, name: str) -> Mapping[str, str] | None:
        status, _, headers = self._asked("HEAD", f"/{container}/{quote(name)}")
        metadata = {key[len(METADATA) :]: value for key, value in headers.items() if key.lower().startswith(METADATA)}
        return metadata if status == 200 else None

    def names(self, container: str, prefix: str = "") -> list[str]:
        query = urlencode({"restype": "container", "comp": "list", "prefix": prefix})
        status, content, _ = self._asked("GET", f"/{container}?{query}")
        return [str(node.text) for node in ET.fromstring(content).iter("Name")] if status == 200 else []

    def delete(self, container: str, name: str) -> None:
        status, content, _ = self._asked("DELETE", f"/{container}/{quote(name)}")
        assert status == 202, content

    def append(self, container: str, name: str, content: bytes) -> None:
        at = f"/{container}/{quote(name)}"
        if self.metadata(container, name) is None:
            self._asked("PUT", at, b"", {"x-ms-blob-type": "AppendBlob"})
        self._asked("PUT", f"{at}?comp=appendblock", content)

    def _connected(self) -> contextlib.closing[http.client.HTTPSConnection]:
        unverified = ssl._create_unverified_context()
        return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", self._port, context=unverified, timeout=60))

    def _asked(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = NOTHING,
        line: http.client.HTTPSConnection | None = None,
    ) -> tuple[int, bytes, dict[str, str]]:
        ours = {
            "Host": f"{self.account}.blob.core.windows.net",
            "Authorization": f"Bearer {token()}",
            "x-ms-version": keys.SERVICE,
            "x-ms-date": formatdate(usegmt=True),
            "Content-Length": str(len(body)),
        }
        with contextlib.nullcontext(line) if line else self._connected() as connection:
            connection.request(method, path, body, {**ours, **headers})
            came = connection.getresponse()
            return came.status, came.read(), dict(came.getheaders())
