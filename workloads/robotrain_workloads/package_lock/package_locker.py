"""The lock of the packages that a job adds to the environment of its workload (`--with`), decided before it is sent.

They are resolved with every package of that environment as it is: only what it lacks is added.
"""

import gzip
import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import tomllib
from packaging.utils import canonicalize_name, parse_wheel_filename
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.model.plan import make_job_document
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.added_packages import encode_file, list_packages
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin, read_lock
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain_workloads.package_lock import locking
from robotrain_workloads.package_lock.lock_inputs import LockInput, check_place
from robotrain_workloads.packages import PATH_FORM, WITH_FLAG, find_name, list_given

make_problem = Messages(__file__)

MAX_BYTES = 512 << 10
"""The size of all files that a job document carries: larger packages belong in an index."""
MAX_READ = 16 << 20
"""The size of a wheel, and of the files of a folder, that is packed at all."""
NEEDS = re.compile(r"(?im)^\s*requires-dist\s*:(.*(?:\n[ \t].*)*)")
SKIPPED = re.compile(r"\..*|__pycache__|.*\.py[co]|.*\.egg-info")
"""What of a folder no build needs."""
BUILT = ("build", "dist")
"""What builds leave in the folder of a project."""
GIT_BUILDERS = re.compile(
    r"(?i)(setuptools[_.-]scm|hatch[_.-]vcs|setuptools[_.-]git[_.-]versioning|versioningit|"
    r"(poetry|uv)[_.-]dynamic[_.-]versioning)\b"
)
"""Packages that a build needs to take the version from the repository, which does not travel with the job."""
PLACE_WAYS = (
    Suggestion(f"{WITH_FLAG} NAME==VERSION", "from a package index, which your uv.toml may name"),
    Suggestion(f"{WITH_FLAG} FILE.whl", "a wheel that you fetched"),
)
PARAMETERS = ("packages", "allow_builds", "lerobot_version", "env")
"""The parameters that decide what is locked."""


def lock_program(job: Job, say: Callable[[str], None]) -> LockedProgram | None:
    """Return the packages that a job adds, locked; None if it adds none. Raise Rejected with all that cannot be."""
    inputs = _read_input(job)
    return locking.lock_packages(inputs, say) if inputs else None


def find_locked(job: Job) -> LockedProgram | None:
    """Return what was locked for equal packages before; None if there is nothing."""
    inputs = _read_input(job)
    return locking.find_locked(inputs) if inputs else None


def find_environment(job: Job) -> PythonEnvironment:
    """Return the environment that a job would have without further packages."""
    module = get_plugins().workload(job.workload).container_plugin
    placement = Placement(work="", cache="", environment="")
    document = make_job_document(job, run="", platform="", container_plugins={}, placement=placement)
    plugin = load_container_plugin(module, WorkloadContainerPlugin)
    return plugin.PROGRAM_ENVIRONMENT or plugin.environment(document)


def _read_input(job: Job) -> LockInput | None:
    package_texts = list_given(dict(job.parameters))
    if not package_texts:
        return None
    environment = find_environment(job)
    builds = bool(job["allow_builds"])
    locked = list_packages(read_lock(environment.lock))
    present_packages: dict[str, str] = {canonicalize_name(name): version for name, version in locked.items()}
    owner = f"the environment of {job.workload}"
    return read_packages(package_texts, environment.python, present_packages, owner, allow_builds=builds)


class _Package(NamedTuple):
    name: str
    needs: Sequence[str]
    """The requirements that are its own words."""
    file: str = ""
    content: bytes = b""
    address: str = ""
    """What uv reads it from."""


def read_packages(
    package_texts: Sequence[str], python: str, present_packages: Mapping[str, str], owner: str, *, allow_builds: bool
) -> LockInput:
    """Return what is to be added, with everything that is wrong with it.

    :param present_packages: the versions of the packages of the environment, by name.
    :param owner: the environment, for people.
    """
    pins = [f"{name}=={version}" for name, version in present_packages.items() if version]
    inputs = LockInput(origin=WITH_FLAG, constraints=pins, present={**present_packages}, owner=owner, python=python)
    inputs.allow_builds, size = allow_builds, 0
    for package_text in dict.fromkeys(package_texts):
        try:
            package = _read_package(package_text, allow_builds=allow_builds)
        except Rejected as rejected:
            inputs.problems += rejected.problems
            continue
        name = canonicalize_name(package.name)
        for requirement_text in package.needs:
            inputs.problems += check_place(
                requirement_text, WITH_FLAG if requirement_text == package_text else Path(package_text).name, PLACE_WAYS
            )
        if name in inputs.named:
            inputs.problems.append(
                make_problem("packages-conflict.twice", where=WITH_FLAG, given=package_text, name=name)
            )
        elif package.file and name in present_packages:
            present_version = f"{name} {present_packages[name]}"
            inputs.problems.append(
                make_problem(
                    "packages-conflict.present", where=WITH_FLAG, given=package_text, owner=owner, shown=present_version
                )
            )
        inputs.requirements += (*package.needs, *([f"{name} @ {package.address}"] if package.address else ()))
        inputs.named.append(name)
        if package.file:
            inputs.files[name], size = (package.file, encode_file(package.content)), size + len(package.content)
    requirements = inputs.requirements  # what needs a package that travels gets that one
    inputs.requirements = [
        requirement
        for requirement in requirements
        if "@" in requirement or canonicalize_name(find_name(requirement)) not in inputs.files
    ]
    if size > MAX_BYTES:
        too_large = make_problem("not-lockable.too-large", where=WITH_FLAG, size=size >> 10, limit=MAX_BYTES >> 10)
        inputs.problems.append(too_large)
    return inputs


def _read_package(package_text: str, *, allow_builds: bool) -> _Package:
    """Return what was given. Raise Rejected."""
    path = Path(package_text)
    if not re.fullmatch(PATH_FORM, package_text):
        return _Package(find_name(package_text), [package_text])
    if path.suffix != ".whl" and path.is_dir() and not allow_builds:
        raise Rejected([make_problem("not-lockable.folder", where=WITH_FLAG, given=package_text, name=path.name)])
    try:
        return _read_wheel(path) if path.suffix == ".whl" else _read_folder(path)
    except (KeyError, TypeError, AttributeError):
        reason = "Its pyproject.toml has no [project] with a name and a list of dependencies"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise Rejected(
        [make_problem("package-unreadable", where=WITH_FLAG, given=package_text, name=path.name, why=reason)]
    )


def _read_wheel(path: Path) -> _Package:
    """Return a wheel, with what it needs: uv would ask a host that it names. Raise OSError and ValueError."""
    name = parse_wheel_filename(path.name)[0]
    wheel_bytes = read_limited_file(path, MAX_READ)
    requirements = list[str]()
    try:
        with zipfile.ZipFile(io.BytesIO(wheel_bytes)) as archive:
            metadata_files = [
                archive.read(member) for member in archive.infolist() if member.filename.endswith("METADATA")
            ]
    except Exception as error:  # whatever is wrong with it: uv must not read what was not read here
        raise ValueError("It is torn, or no wheel") from error
    for metadata_bytes in metadata_files:
        matches = NEEDS.findall(metadata_bytes.decode(errors="replace").replace("\r", "\n"))
        requirements += (" ".join(requirement.split()) for requirement in matches)
    return _Package(name, requirements, path.name, wheel_bytes, path.absolute().as_uri())


def _read_folder(path: Path) -> _Package:
    """Return the files of a package as an archive that the job builds. Raise Rejected."""
    pyproject = tomllib.loads(read_limited_file(path / "pyproject.toml", MAX_READ).decode())
    project = pyproject["project"]
    builders = pyproject.get("build-system", {}).get("requires", ())
    name = project["name"]
    version = project.get("version", "0")
    dynamic = {*project.get("dynamic", ())}
    is_of_git = "version" in dynamic and any(map(GIT_BUILDERS.match, builders))
    if is_of_git or "dependencies" in dynamic:
        missing_field = "version" if is_of_git else "dependencies"
        raise Rejected(
            [make_problem("not-lockable.built", where=WITH_FLAG, given=str(path), name=name, what=missing_field)]
        )
    top_folder = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    requirements = [" ".join(requirement.split()) for requirement in project.get("dependencies", ())]
    return _Package(name, requirements, f"{top_folder}.tar.gz", _pack_folder(path, top_folder))


def _pack_folder(folder: Path, top_folder: str) -> bytes:
    """Return the files of a folder as an archive; equal files give equal bytes. Raise ValueError and OSError."""
    buffer, size = io.BytesIO(), 0
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as gzip_file,
        tarfile.open(fileobj=gzip_file, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _list_files(folder, BUILT):
            file_bytes = read_limited_file(path, MAX_READ)
            if (size := size + len(file_bytes)) > MAX_READ:
                raise ValueError(f"it has more than {MAX_READ >> 20} MiB")
            tar_entry = tarfile.TarInfo(f"{top_folder}/{path.relative_to(folder).as_posix()}")
            tar_entry.size, tar_entry.mode = len(file_bytes), 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            archive.addfile(tar_entry, io.BytesIO(file_bytes))
    return buffer.getvalue()


def _list_files(folder: Path, skipped: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the files of a folder in order, without links and without what no build needs.

    :param skipped: other names that are left out in the folder itself.
    """
    for path in sorted(folder.iterdir()):
        if SKIPPED.fullmatch(path.name) or path.name in skipped or path.is_symlink():
            continue
        if path.is_dir():
            yield from _list_files(path)
        elif path.is_file():
            yield path
