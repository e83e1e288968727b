"""Weights of torchvision in the data environment: one file at a web address, compared with its SHA-256."""

import dataclasses
from collections.abc import Iterator

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

from robotrain_sources.https_file.fetch import SingleFile
from robotrain_sources.https_file.reference import parse_https_file
from robotrain_sources.torchvision import weights_table
from robotrain_sources.torchvision.reference import TorchvisionWeights
from robotrain_sources.transfer.origin import SourceFile

CARRIER = "robotrain_sources.transfer.container"
DIGEST_DIGITS = 64


class WeightsFile(SingleFile):
    """The file of weights as a source of the transfer."""

    def __init__(self, url: str, sha256: str) -> None:
        super().__init__(parse_https_file(url))
        self.place, self._sha256 = TorchvisionWeights.kind, sha256

    def list_files(self) -> Iterator[SourceFile]:
        """Yield the file. What is not the whole digest is compared by the work, which knows torchvision's."""
        sha256 = self._sha256 if len(self._sha256) == DIGEST_DIGITS else ""
        files = [dataclasses.replace(file, sha256=sha256) for file in super().list_files()]
        self.place = TorchvisionWeights.kind  # whatever its server says of it: the digest is the same
        yield from files


def get_request_uri(source: JobSource, context: ContainerContext) -> str:
    """Return the address and the digest of the weights."""
    return "#".join(weights_table.WEIGHTS[source.uri])


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> WeightsFile:
    """Return the file at the address that `get_request_uri` made."""
    url, _, sha256 = uri.partition("#")
    return WeightsFile(url, sha256)
