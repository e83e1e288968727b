"""Runs in the data environment: a model of a workspace as the transfer knows it. Azure's resource manager tells where
its files lie, and they are read as any folder of blobs.
"""

import importlib
from collections.abc import Iterator
from typing import Any

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer.origin import Entry, Origin

from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.models import lookup, named
from robotrain_azure.models.named import Named

ORIGIN = "robotrain_sources.blob_url.origin"
"""What opens the folder of blobs."""
PATIENCE = 8.0
"""Seconds for which a bad moment of Azure is sat out."""


class Model:
    """The files of one version, as whoever this is reads them."""

    def __init__(self, model: Named, role: str) -> None:
        self.place = f"model_asset/{model.at.name}/{model.name}"
        self._model = model
        self._role = role
        self._arm = Arm(PATIENCE)
        self._blobs: Origin | None = None

    def entries(self) -> Iterator[Entry]:
        """The files, as they are listed. Raises Refused when there is no such version."""
        return self._there().entries()

    def store(self) -> Any:
        """The container they lie in."""
        return self._there().store()

    def path(self, name: str) -> str:
        """Where a file lies in the container."""
        return self._there().path(name)

    def unlike(self, digest: str) -> str:
        """Nothing: a version means the same for ever, and no pin is compared."""
        return ""

    def nothing(self) -> Refused:
        """That the version has no files, and where they should be."""
        told = f"the model {self._model.name} version {self._model.version} has no files"
        return Refused(f"{told}: {self._there().nothing()}", "data")

    def refused(self, error: Exception) -> Refused:
        """Why Azure did not give something."""
        if isinstance(error, ArmError):
            return lookup.refused(error, self._model.at)
        return self._there().refused(error)

    def _there(self) -> Origin:
        """The folder of blobs, once it is known. Raises Refused."""
        if self._blobs is None:
            folder = lookup.folder(self._arm, self._model)
            self._blobs = importlib.import_module(ORIGIN).open(folder, "", self._role, "")
        return self._blobs


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> Model:
    """The model of that full name. Raises Refused when it is none."""
    try:
        return Model(named.of(uri, None), role)
    except named.Unnamed as no:
        raise Refused(
            f"the job names no model of a workspace: {no.why}\n{no.instead}".rstrip(), "configuration"
        ) from None
