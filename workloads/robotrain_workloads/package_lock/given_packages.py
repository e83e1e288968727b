"""The packages that a job adds to its environment, as they are given: requirements, wheel files and folders.

Files are only read: nothing of a package runs here.
"""

import gzip
import hashlib
import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import tomllib
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.files import read_limited_file

from robotrain_workloads.command_lock.lock_target import Target
from robotrain_workloads.packages import BUILDS_FLAG, PATH_FORM, WITH_FLAG

make_problem = Messages(__file__)

MAX_BYTES = 512 << 10
"""The size of all files that a job document carries: larger packages belong in an index."""
MAX_UNPACKED = 16 << 20
"""The size of the files of a folder."""
SKIPPED = re.compile(r"\..*|__pycache__|.*\.py[co]|.*\.egg-info")
"""What of a folder no build needs."""
BUILT = ("build", "dist")
"""What builds leave in the folder of a project."""
GIT_BUILDERS = re.compile(
    r"(?i)(setuptools[_.-]scm|hatch[_.-]vcs|setuptools[_.-]git[_.-]versioning|versioningit|"
    r"(poetry|uv)[_.-]dynamic[_.-]versioning)\b"
)
"""Packages that a build needs to take the version from the repository, which does not travel with the job."""
INDEX_WAY = Suggestion(f"{WITH_FLAG} NAME==VERSION", "from a package index, which your uv.toml may name")
REQUIREMENT_WAY = Suggestion(f"{WITH_FLAG} NAME==VERSION", "or a wheel file; with --allow-builds also a folder")


@dataclass(slots=True, kw_only=True)
class GivenPackages:
    """What was given."""

    requirements: dict[str, Requirement] = field(default_factory=dict)
    """Those of an index, by their canonical names."""
    files: dict[str, "PackageFile"] = field(default_factory=dict)
    """The wheels and folders, by their canonical names."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names of all."""
        return [*self.requirements, *self.files]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """A package that is given as a file of this machine."""

    path: Path
    name: str
    """The name of the file that the job gets."""
    content: bytes
    needs: tuple[str, ...] = ()
    """Its requirements, if uv cannot read them from `path`: those of a folder."""

    @property
    def digest(self) -> str:
        """Its SHA-256 in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_packages(texts: Sequence[str], target: Target, *, allow_builds: bool) -> GivenPackages:
    """Return what was given, with everything that is wrong with it."""
    found = GivenPackages()
    for text in dict.fromkeys(texts):
        try:
            if re.fullmatch(PATH_FORM, text):
                path = Path(text)
                read = _read_wheel(path, target) if path.suffix == ".whl" else _read_folder(path, allow_builds)
                _add(found, read[0], text, found.files, read[1])
            else:
                requirement = _parse_requirement(text)
                _add(found, requirement.name, text, found.requirements, requirement)
        except _Unfit as unfit:
            found.problems.append(unfit.problem)
    if (size := sum(len(one.content) for one in found.files.values())) > MAX_BYTES:
        found.problems.append(
            make_problem(
                "not-lockable.too-large", INDEX_WAY, where=WITH_FLAG, size=size >> 10, max_bytes=MAX_BYTES >> 10
            )
        )
    return found


class _Unfit(Exception):
    """Something that cannot be a package of a job."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


def _add(found: GivenPackages, name: str, text: str, into: dict[str, Any], value: object) -> None:
    key = canonicalize_name(name)
    if key in found.names:
        found.problems.append(make_problem("packages-conflict.twice", where=WITH_FLAG, given=text, key=key))
    else:
        into[key] = value


def _parse_requirement(text: str) -> Requirement:
    """Return a requirement of an index. Raise _Unfit."""
    if text.lstrip().startswith("-"):
        raise _Unfit(
            make_problem(
                "requirement-invalid.option",
                REQUIREMENT_WAY,
                where=WITH_FLAG,
                given=text,
                text=redact(text.split("=")[0].split()[0]),
            )
        )
    if "://" in text or re.match(r"(?:git|hg|svn|bzr)\+", text):
        wheel = Suggestion(f"{WITH_FLAG} FILE.whl", "a wheel that you fetched")
        raise _Unfit(make_problem("not-lockable.address", wheel, INDEX_WAY, where=WITH_FLAG, given=text))
    try:
        return Requirement(text)
    except InvalidRequirement:
        problem = make_problem("requirement-invalid.package", REQUIREMENT_WAY, where=WITH_FLAG, given=text)
        raise _Unfit(problem) from None


def _make_unreadable(path: Path, why: str) -> _Unfit:
    what = "wheel" if path.suffix == ".whl" else "package"
    ways = [Suggestion("uv build --wheel FOLDER", "builds one"), INDEX_WAY]
    return _Unfit(
        make_problem("package-unreadable", *ways, where=WITH_FLAG, given=str(path), what=what, name=path.name, why=why)
    )


def _read_wheel(path: Path, target: Target) -> tuple[str, PackageFile]:
    """Return the name in a wheel's metadata, and the file. Raise _Unfit."""
    try:
        content = read_limited_file(path, 64 << 20)
        named, version, *_ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if damaged := archive.testzip():
                raise _make_unreadable(path, f"{damaged} in it is damaged")
            inside = next(one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
            metadata = BytesParser().parsebytes(archive.read(inside), headersonly=True)
    except InvalidWheelFilename:
        raise _make_unreadable(path, "Its name is not that of a wheel: NAME-VERSION-PYTHON-ABI-PLATFORM.whl") from None
    except StopIteration:
        raise _make_unreadable(path, "It has no metadata") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError):  # a RuntimeError for one with a password
        raise _make_unreadable(path, "It is torn or no wheel") from None
    except (OSError, ValueError) as error:
        raise _make_unreadable(path, getattr(error, "strerror", None) or str(error)) from None
    name = str(metadata.get("Name", ""))
    if canonicalize_name(name) != named or str(metadata.get("Version", "")) != str(version):
        raise _make_unreadable(path, f"It has {redact(name)} {redact(str(metadata.get('Version', '')))} inside")
    if not target.choose_wheels({path.name: path}):
        raise _Unfit(
            make_problem(
                "not-lockable.other-wheel",
                where=WITH_FLAG,
                given=str(path),
                name=path.name,
                description=target.description,
            )
        )
    return name, PackageFile(path=path, name=path.name, content=content)


def _read_folder(path: Path, allow_builds: bool) -> tuple[str, PackageFile]:
    """Return the name of the package in a folder, and its files as an archive that the job builds. Raise _Unfit."""
    if not path.is_dir():
        if path.exists():
            raise _make_unreadable(path, "It is neither a wheel nor a folder")
        raise _make_unreadable(path, "No such file or directory")
    if not allow_builds:
        ways = (
            Suggestion(BUILDS_FLAG, "builds it there"),
            Suggestion("uv build --wheel FOLDER", "then give the wheel"),
        )
        raise _Unfit(make_problem("not-lockable.folder", *ways, where=WITH_FLAG, given=str(path), name=path.name))
    try:
        data = tomllib.loads(read_limited_file(path / "pyproject.toml", 1 << 20).decode())
        project: Mapping[str, Any] = data["project"]
        name, needs = str(project["name"]), tuple(str(Requirement(one)) for one in project.get("dependencies", ()))
        dynamic, builders = set(project.get("dynamic", ())), data.get("build-system", {}).get("requires", ())
        from_git = "version" in dynamic and any(map(GIT_BUILDERS.match, builders))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error)
        if isinstance(error, KeyError):
            why = "Its pyproject.toml has no [project] with a name"
        elif isinstance(error, (TypeError, AttributeError)):
            why = "A field of its pyproject.toml has another type than a project's has"
        raise _make_unreadable(path, why) from None
    if from_git or "dependencies" in dynamic:
        title, why = f"the dependencies of {path.name} are dynamic", "Only a build tells them, which never runs here."
        if from_git:
            title, why = (
                f"the version of {path.name} is that of its repository",
                "No history travels with a job.",
            )
        raise _Unfit(make_problem("not-lockable.conflict", where=WITH_FLAG, given=str(path), title=title, why=why))
    top = f"{canonicalize_name(name).replace('-', '_')}-{project.get('version', '0')}"
    content = _pack_folder(path, top)
    return name, PackageFile(path=path, name=f"{top}.tar.gz", content=content, needs=needs)


def _pack_folder(folder: Path, top: str) -> bytes:
    """Return the files of a folder as an archive; equal files give equal bytes. Raise _Unfit."""
    buffer, size = io.BytesIO(), 0
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _list_files(folder, BUILT):
            try:
                content = read_limited_file(path, MAX_UNPACKED)
            except (OSError, ValueError) as error:
                raise _make_unreadable(folder, f"{path.relative_to(folder)}: {error}") from None
            if (size := size + len(content)) > MAX_UNPACKED:
                raise _make_unreadable(folder, f"It has more than {MAX_UNPACKED >> 20} MiB")
            entry = tarfile.TarInfo(f"{top}/{path.relative_to(folder).as_posix()}")
            entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            archive.addfile(entry, io.BytesIO(content))
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
