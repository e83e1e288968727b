"""Filling the account, past the front: what a test finds there before it begins."""

import base64
import contextlib
import hashlib
import http.client
import ssl
from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType
from urllib.parse import quote

from azure_stand_in.azurite import Store
from azure_stand_in.keys import SERVICE
from azure_stand_in.sign_in import token


class Blobs:
    """The blobs of one account."""

    def __init__(self, account: str, store: Store) -> None:
        self._account = account
        self._store = store

    def put(self, container: str, files: Mapping[str, bytes]) -> None:
        """Make the container when it is not there, and its blobs."""
        with self._reached() as store:
            self._request(store, "PUT", f"/{container}?restype=container", may=(201, 409))
            for name, content in files.items():
                self._put(store, container, name, content, {})

    def put_one(
        self, container: str, name: str, content: bytes, metadata: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """One blob, with the MD5 that the service computes on such an upload."""
        with self._reached() as store:
            self._put(store, container, name, content, metadata)

    def delete(self, container: str, name: str) -> None:
        """Delete one blob."""
        with self._reached() as store:
            self._request(store, "DELETE", f"/{container}/{quote(name)}", may=(202,))

    def _put(
        self,
        store: http.client.HTTPSConnection,
        container: str,
        name: str,
        content: bytes,
        metadata: Mapping[str, str],
    ) -> None:
        told = {f"x-ms-meta-{key}": value for key, value in metadata.items()}
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-md5": md5, **told}
        self._request(store, "PUT", f"/{container}/{quote(name)}", content, headers)

    def _reached(self) -> contextlib.closing[http.client.HTTPSConnection]:
        unverified = ssl._create_unverified_context()
        port = self._store.port
        return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, context=unverified, timeout=60))

    def _request(
        self,
        store: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        may: tuple[int, ...] = (201,),
    ) -> None:
        ours = {
            "Host": f"{self._account}.blob.core.windows.net",
            "Authorization": f"Bearer {token()}",
            "x-ms-version": SERVICE,
            "x-ms-date": formatdate(usegmt=True),
            "Content-Length": str(len(body)),
        }
        store.request(method, path, body, {**ours, **headers})
        came = store.getresponse()
        content = came.read()
        assert came.status in may, (came.status, content)
