"""The job document that the runtime starts with, read from the plan that the command line shows."""

import base64
import bz2
import io
import tarfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast loader, where PyYAML has it."""
STREAM_START = b"BZh91AY&SY"
"""The start of each of the two parts of an archive: the payload, which many jobs have in common, and the job's own."""


class Arrived(NamedTuple):
    """A plan as it was shown. document: what the runtime is started with. spec: the native specification."""

    run: str
    digest: str
    spec: str
    document: JobDocument


def read_arrived(shown: Mapping[str, Any]) -> Arrived:
    """Of what `render --json` prints."""
    texts = {path: str(file.get("text", "")) for path, file in shown["files"].items()}
    parsed = document.parse_document(READERS[shown["platform"]](texts))
    return Arrived(shown["run"], shown["digest"], texts[shown["spec"]], parsed)


def _in_run_folder(texts: Mapping[str, str]) -> str:
    return texts["job.json"]


def _on_osmo(texts: Mapping[str, str]) -> str:
    """The one in the archive that is part of the workflow; what people read beside it says the same."""
    workflow = yaml.load(texts["workflow.yaml"], Loader=LOADER)["workflow"]
    tasks = workflow.get("tasks") or workflow["groups"][0]["tasks"]  # of several nodes: all have the same files
    if "files" not in tasks[0]:  # the archive is uploaded beside the workflow, as it is large
        return texts["job.json"]
    (packed,) = tasks[0]["files"]
    archive = base64.b64decode(packed["contents"])
    inside = _of_archive(archive[archive.rindex(STREAM_START) :])
    assert inside == texts["job.json"]
    return inside


def _of_archive(packed: bytes) -> str:
    """The document, which comes first in the last part."""
    with tarfile.open(fileobj=io.BytesIO(bz2.decompress(packed))) as archive:
        entry = next(iter(archive))  # after it comes the code that is sent along
        file = archive.extractfile(entry)
        assert (entry.name, file is not None) == ("job.json", True)
        return file.read().decode()


def _on_azureml(texts: Mapping[str, str]) -> str:
    """The one in the folder that the job names as its code."""
    code = yaml.load(texts["job.yaml"], Loader=LOADER)["code"]
    return texts[f"{code.removeprefix('./').rstrip('/')}/job.json"]


READERS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "local": _in_run_folder,
    "osmo": _on_osmo,
    "azureml": _on_azureml,
    "slurm": _in_run_folder,
}
