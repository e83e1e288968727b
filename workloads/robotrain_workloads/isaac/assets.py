"""Assets of Isaac Lab 3: robots, grounds and networks that a task loads while it starts, and where they come from."""

import dataclasses
import functools
import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.container_plugin import DataPreparation, find_prepared_files
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource, Scalar
from robotrain_runtime.contract.failure import UNTRUSTED
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem

from robotrain_workloads.isaac import installation, tasks

ROLE, FLAG = "scenes", "--assets"
ROOT_VARIABLE, REGION_VARIABLE = "ISAACSIM_ASSET_ROOT", "ISAACSIM_ASSET_REGION_PROFILE"
"""Isaac Lab's own: another root, a folder or an address; and the name of a region, which has a root of its own."""
SERVER = "https://omniverse-content-production.s3-us-west-2.amazonaws.com/Assets/Isaac/6.2"
"""The root that Isaac Lab 3.0 has without these variables."""
LOADED_SUFFIXES = (".usd", ".usda", ".usdc", ".urdf", ".xml", ".pt", ".pth", ".json", ".yaml")
"""Of files that have to be there. Pictures and materials are only named: a renderer alone looks for them."""
OTHER_FILES = ("_path=", "_file=", "presets=")
"""What an override has that names a file of the user's own in place of one of the task's, or chooses other files."""
WORKLOADS = ("isaac-train", "isaac-validate", "isaac-export")
"""Those that load the same files of a task."""
FETCH_PROGRAM = Path(__file__).parent / "image" / "asset_fetch.py"
ANSWER_SECONDS = 5.0
MAX_NAMES = 3


def find_source(sources: Iterable[JobSource]) -> JobSource | None:
    """Return the source of a job's assets; None if Isaac Lab fetches them itself."""
    return next((job_source for job_source in sources if job_source.role == ROLE), None)


def make_environ(document: JobDocument, data: Folders) -> dict[str, str]:
    """Return the environment variables with which Isaac Lab reads the job's assets; none if it fetches them itself.

    Those that were fetched before the job was sent are read where the server does not answer: it has more.
    """
    source = find_source(document.sources)
    if source is not None:
        return {ROOT_VARIABLE: str(data[source])}
    fetched_folder = _find_fetched(document)
    if not fetched_folder or not _find_server_problem(_get_server(document), _list_files(document)[0], ""):
        return {}
    return {ROOT_VARIABLE: str(fetched_folder)}


def list_cache_folders(document: JobDocument) -> tuple[Path, ...]:
    """Return the folders of the cache that a job may load assets from."""
    fetched_folder = _find_fetched(document)
    return (fetched_folder,) if fetched_folder else ()


def prepare(document: JobDocument, data: Folders, digests: Mapping[JobSource, str]) -> DataPreparation | None:
    """Return what fetches the task's assets from their server into the cache, for nodes without a network.

    None outside of an environment that robotrain builds.
    """
    root = _get_server(document)
    if not root or not installation.is_built(document):
        return None
    needed_files = _list_files(document)
    task = tasks.list_tasks("3.0")[str(document.parameters["task"]).rpartition(":")[2]]
    other_files = (file for file in task.assets if file not in needed_files)
    return DataPreparation(
        sources=(),
        key=_make_key(root, needed_files),
        arguments=(str(FETCH_PROGRAM), root, *needed_files, "--", *other_files),
        environment=installation.program_environment(document, Path(document.placement.work)),
        is_staged=True,
    )


def _list_files(document: JobDocument) -> tuple[str, ...]:
    return list_needed_files(document.parameters, document.sources, document.trainer_args)


def _get_server(document: JobDocument) -> str:
    """Return the address of the server that a job's task loads from; empty without, and for one of a region."""
    root = os.environ.get(ROOT_VARIABLE, "").rstrip("/") or SERVER
    is_regional = root == SERVER and bool(os.environ.get(REGION_VARIABLE))
    is_asked = find_source(document.sources) is None and bool(_list_files(document))
    return root if is_asked and not is_regional and root.startswith(("http://", "https://")) else ""


def _make_key(root: str, files: Iterable[str]) -> str:
    return hashlib.sha256("\0".join([root, *files]).encode()).hexdigest()[:16]


def _find_fetched(document: JobDocument) -> Path | None:
    """Return the root that `prepare` filled, for this job or for another step of its pipeline; None if it did not."""
    root = _get_server(document)
    key = _make_key(root, _list_files(document)) if root else ""
    for workload in WORKLOADS if root else ():
        if prepared_folder := find_prepared_files(dataclasses.replace(document, workload=workload), key):
            return _make_copies_folder(prepared_folder, root)
    return None


def list_needed_files(
    parameters: Mapping[str, Scalar], sources: Iterable[JobSource], arguments: Sequence[str]
) -> tuple[str, ...]:
    """Return the files that a job's task loads, relative to the root; none where nobody knows.

    These are tasks of one's own, programs of one's own, and options that name other files.

    :param arguments: the options after `--`.
    """
    is_unknown = parameters["isaac_version"] == "2.3" or any(source.role == "code" for source in sources)
    if is_unknown or any(name in argument for argument in arguments for name in OTHER_FILES):
        return ()
    task = tasks.list_tasks("3.0").get(str(parameters["task"]).rpartition(":")[2], tasks.Task())
    return tuple(file for file in task.assets if file.endswith(LOADED_SUFFIXES))


def find_problems(document: JobDocument, data: Folders) -> Iterator[Problem]:
    """Yield why Isaac Lab would not find what the task loads. A server is asked once, for the first file.

    :param data: the folders of the sources that are on this machine.
    """
    needed_files = _list_files(document)
    if not needed_files:
        return
    task = str(document.parameters["task"])
    source = find_source(document.sources)
    if source is not None:
        problem = find_folder_problem(data[source], needed_files, task) if source in data else None
    else:
        root = _get_server(document)
        folder = os.environ.get(ROOT_VARIABLE, "")
        if folder and not urllib.parse.urlsplit(folder).scheme:
            problem = find_folder_problem(Path(folder), needed_files, task)
        elif not root or _find_fetched(document) or _has_copies(root, needed_files):
            problem = None
        else:
            problem = _find_server_problem(root, needed_files[0], task)
    if problem:
        yield problem


def find_folder_problem(folder: Path, needed_files: Collection[str], task: str) -> Problem | None:
    """Return which files a folder of assets lacks; None if it has all."""
    missing_files = _list_missing(folder, needed_files)
    if not missing_files:
        return None
    more_text = f" and {len(missing_files) - MAX_NAMES} more" if len(missing_files) > MAX_NAMES else ""
    sentence = f"{folder} lacks assets of {task}: {', '.join(missing_files[:MAX_NAMES])}{more_text}"
    return make_data_problem(sentence, Suggestion(f"{FLAG} FOLDER", "that has them"))


def _list_missing(folder: Path, needed_files: Iterable[str]) -> list[str]:
    return [file for file in needed_files if not (folder / file).is_file()]


def _has_copies(root: str, needed_files: Iterable[str]) -> bool:
    """Return whether Isaac Lab has fetched the files before: without the server it uses these copies."""
    return not _list_missing(_make_copies_folder(Path(tempfile.gettempdir()), root), needed_files)


def _make_copies_folder(folder: Path, root: str) -> Path:
    """Return where Isaac Lab puts copies of a server's files below a folder."""
    address = urllib.parse.urlsplit(root)
    return Path(folder, address.scheme, address.netloc.replace(":", "_"), address.path.lstrip("/")).absolute()


def _find_server_problem(root: str, file: str, task: str) -> Problem | None:
    """Return that a server does not give a file; None if it does, or if only Isaac Lab itself can tell."""
    reason = _ask_server(f"{root}/{urllib.parse.quote(file)}")
    if not reason:
        return None
    host = urllib.parse.urlsplit(root).hostname
    sentence = f"{host} does not give {file}, which {task} loads while it starts: {reason}"
    way = Suggestion(f"{FLAG} FOLDER", f"a folder that has it, or the address of another server in {ROOT_VARIABLE}")
    return dataclasses.replace(make_data_problem(sentence, way), fault="network")


@functools.cache
def _ask_server(address: str) -> str:
    """Return why a file cannot be had; empty if it can, or if the answer says nothing about that."""
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "robotrain"})

    def request_head() -> str:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):
                return ""
        except urllib.error.HTTPError as answer:
            answer.close()
            return f"it answered HTTP {answer.code}" if answer.code in (403, 404, 410) else ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            is_ours = re.search(UNTRUSTED, str(cause))  # Isaac Lab trusts certificates of its own
            return "" if is_ours else f"{getattr(cause, 'strerror', None) or cause}".rstrip(".")

    try:
        return DeadlineFuture(request_head, ANSWER_SECONDS).result(ANSWER_SECONDS)
    except DeadlineExceeded:
        return f"it did not answer within {ANSWER_SECONDS:g} s"
