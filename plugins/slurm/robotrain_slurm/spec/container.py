"""The container of a job: its image as Pyxis and Apptainer name it, and the folders that are mounted. Pure."""

import os
import re
from collections.abc import Iterator

from robotrain.check.publish_targets import CHECKPOINT_PARAMETER
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.run_folder.settings import SQLITE_SCHEME
from robotrain_runtime.contract.document import JobDocument, parse_document

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.submission_spec import JobContainer

make_problem = Messages(__file__)

_REFERENCE = r"(?P<name>[^@]*?)(?P<tag>:[^/:@]+)?(?P<digest>@.+)?"
_REGISTRY = r"[^/]*[.:][^/]*|localhost"
UNMOUNTABLE = r"[,:]"
"""Characters that separate mounts, and the two paths of one."""


def make_container(job: Job, settings: SlurmSettings, folder: str, document: bytes) -> JobContainer:
    """Return the container of a job; an empty one without `--container`.

    :param folder: the run folder.
    """
    if not settings.container:
        return JobContainer()
    image = settings.image or job.profile.container.image
    published = str(dict(job.parameters).get(CHECKPOINT_PARAMETER) or "")
    return JobContainer(
        tool=settings.container,
        image=name_image(image, settings.container),
        mounts=tuple(dict.fromkeys(_list_files(parse_document(document.decode())))),
        folders=(folder, settings.cache_dir, *((published,) if os.path.isabs(published) else ())),
    )


def name_image(image: str, tool: str) -> str:
    """Return an image as the tool names it.

    Pyxis separates the registry by `#` and takes no digest beside a tag. Apptainer takes a tag or a digest.
    """
    image = os.path.expanduser(image)
    match = re.fullmatch(_REFERENCE, image)
    if image.startswith("/") or match is None:
        return image
    name = match["name"]
    tag = match["tag"] or ""
    digest = match["digest"] or ""
    if tool == "apptainer":
        return f"docker://{name}{digest or tag}"
    registry, slash, path = name.partition("/")
    if slash and re.fullmatch(_REGISTRY, registry):
        name = f"{registry}#{path}"
    return f"{name}{tag or digest}"


def _list_files(document: JobDocument) -> Iterator[str]:
    """Yield the files and folders of the cluster that a job reads."""
    placement = document.placement
    mounted_keys = {(mount.role, mount.uri) for mount in placement.mounts}
    yield from (
        source.uri
        for source in document.sources
        if os.path.isabs(source.uri) and (source.role, source.uri) not in mounted_keys
    )
    yield from (mount.folder for mount in placement.mounts)
    yield from placement.credentials.values()
    yield from placement.secrets.values()
    if placement.environment:
        yield placement.environment
    if placement.tracking_uri.startswith(SQLITE_SCHEME):
        yield os.path.dirname(placement.tracking_uri.removeprefix(SQLITE_SCHEME))


def check_mounts(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that the folders of a job can be mounted."""
    if not settings.container:
        return
    paths_by_flag = {
        "--runs-dir": settings.runs_dir,
        "--cache-dir": settings.cache_dir,
        "--environment": settings.environment,
    }
    paths_by_flag |= {f"the {source.role}": source.uri for source in job.sources if os.path.isabs(source.uri)}
    for flag, path in paths_by_flag.items():
        if path and (match := re.search(UNMOUNTABLE, path)):
            yield make_problem("slurm-mount-name", where=flag, given=path, found=match[0])
