"""The Dockerfile and build context of an image with a workload's environments.

The image contains no part of the build context, no package index and no secret: the configuration of pip and uv is
mounted as a secret during the build.
"""

import hashlib
import importlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import SourceContainerPlugin, read_lock
from robotrain_runtime.contract.files import make_atomically
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain import __version__
from robotrain.cluster.spec import make_python_search
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.submission.packing import pack_modules

make_problem = Messages(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedEnvironment:
    """An environment to build into the image."""

    name: str
    """The name of its lock file."""
    lock: bytes
    python: str
    """The version, or a range of versions."""
    gib: float
    """The disk space that it needs."""

    @property
    def digest(self) -> str:
        """The digest by which a run finds the environment."""
        return hashlib.sha256(self.lock).hexdigest()[:16]


def find_locked_environments(workload: Workload, kinds: Iterable[SourceKind]) -> list[LockedEnvironment]:
    """Return the environments of a workload and its source kinds, without repetition. Raise Rejected, OSError."""
    source_modules = [kind.container_plugin for kind in kinds if {*kind.roles} & {*workload.roles}]
    modules = [workload.container_plugin, *filter(None, source_modules)]
    environments: list[Any] = []
    for module in modules:
        plugin = _load_container_plugin(module)
        environments.append(
            _load_container_plugin(plugin.CARRIER).ENVIRONMENT if plugin.CARRIER else plugin.ENVIRONMENT
        )
    environments += [importlib.import_module(module).ENVIRONMENT for module in workload.data_environments]
    environments_by_lock: dict[bytes, LockedEnvironment] = {}
    for environment in filter(None, environments):
        path = Path(environment.lock)
        lock, name = read_lock(path).encode(), path.name
        if any(other_lock.name == name and other_lock.lock != lock for other_lock in environments_by_lock.values()):
            name = f"{path.stem}-{hashlib.sha256(lock).hexdigest()[:8]}{path.suffix}"
        env = LockedEnvironment(name=name, lock=lock, python=environment.python, gib=environment.gib)
        environments_by_lock.setdefault(lock, env)
    return list(environments_by_lock.values())


def _load_container_plugin(name: str) -> SourceContainerPlugin:
    try:
        return load_container_plugin(name, SourceContainerPlugin)
    except ImportError as error:
        raise Rejected([make_problem("half-missing", name=name, error=error)]) from None


IMAGE_FOLDER = "/opt/robotrain"
"""The folder where a run looks for environments of its image."""
CONTEXT_MOUNT = "/tmp/robotrain-image"
CACHE_MOUNT = "/var/cache/robotrain-image"
RUNTIME_PACKAGE = "robotrain_runtime"
UV_REQUIREMENTS = f"{RUNTIME_PACKAGE}/environments/uv.txt"
LOCKS_FOLDER = "locks"
MOUNTS = (
    f"--mount=type=bind,target={CONTEXT_MOUNT}",
    f"--mount=type=cache,target={CACHE_MOUNT}",
    "--mount=type=secret,id=pip,target=/etc/pip.conf",
    "--mount=type=secret,id=uv,target=/etc/uv/uv.toml",
)
HEADER = """\
# {image} with the environments of {workload} jobs, so that no run builds them. Written by robotrain {version}.
# Build it in this folder with Docker (BuildKit) or buildah:
#
#   docker build -t NAME .
#   docker build -t NAME --secret id=pip,src=PIP.CONF --secret id=uv,src=UV.TOML .   with your own package index
#
# A run finds these environments by the digests of their locks:
{listed}
# If the base image has the locked torch for this Python, it is used and not downloaded.
"""


SEARCH_FILE = "python.sh"
PYTHON = f"/bin/sh {CONTEXT_MOUNT}/{SEARCH_FILE}"
"""The base image's Python, which some images have at an unusual place."""


def format_dockerfile(workload: str, image: str, locked: Sequence[LockedEnvironment], uv: str, version: str) -> str:
    """Return the Dockerfile for versions of uv and robotrain."""
    width = max(len(env.name) for env in locked)
    environment_list = "\n".join(f"#   {env.name:<{width}}  {env.digest}  (Python {env.python})" for env in locked)
    head = HEADER.format(image=image, workload=workload, version=version, listed=environment_list)
    instruction_lines = [f"ARG BASE={image}", "FROM ${BASE}", *_list_layers(locked, uv)]
    return head + "\n" + "\n".join(instruction_lines) + "\n"


def choose_default_image(python: str) -> str:
    """Return an official image with the newest Python that an environment supports."""
    return f"python:{(re.findall(r'[^-]+', python) or ['3'])[-1]}-slim"


def _list_layers(locked: Sequence[LockedEnvironment], uv: str) -> Iterator[str]:
    """Yield the instructions, the smallest layer first: unchanged layers are not built again."""
    flags = "--no-deps --require-hashes --only-binary :all:"
    # NVIDIA's images pin versions by PIP_CONSTRAINT
    pip = f"PIP_CONSTRAINT= PIP_CACHE_DIR={CACHE_MOUNT}/pip {PYTHON} -m pip install --disable-pip-version-check {flags}"
    yield _run_instruction(f"{pip} --target {IMAGE_FOLDER}/uv/{uv} -r {CONTEXT_MOUNT}/{UV_REQUIREMENTS}")
    # without compiled bytecode, each container would compile it again
    variables = f"UV_CACHE_DIR={CACHE_MOUNT}/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 PYTHONPATH={CONTEXT_MOUNT}"
    for env in sorted(locked, key=lambda env: env.gib):
        options = f"{CONTEXT_MOUNT}/{LOCKS_FOLDER}/{env.name} --python {env.python} --gib {env.gib:g}"
        command = f"{PYTHON} -B -m {RUNTIME_PACKAGE} environment {options} --cache {IMAGE_FOLDER}"
        yield _run_instruction(f"{variables} {command}")


def _run_instruction(command: str) -> str:
    return "RUN " + " \\\n    ".join([*MOUNTS, command])


DOCKERFILE_NAME = "Dockerfile"


def build_context_files(workload: Workload, image: str, locked: Sequence[LockedEnvironment]) -> dict[str, bytes]:
    """Return the files by path; equal arguments give equal bytes."""
    with zipfile.ZipFile(io.BytesIO(pack_modules(()).archive)) as payload_zip:
        runtime = {name: payload_zip.read(name) for name in payload_zip.namelist()}
    uv_pin = re.search(r"^uv==(\S+)", runtime[UV_REQUIREMENTS].decode(), re.MULTILINE)
    assert uv_pin is not None
    dockerfile = format_dockerfile(workload.name, image, locked, uv_pin[1], __version__)
    locks = {f"{LOCKS_FOLDER}/{env.name}": env.lock for env in locked}
    search = make_python_search(workload.profile.container.interpreters)
    return {DOCKERFILE_NAME: dockerfile.encode(), SEARCH_FILE: search.encode(), **locks, **runtime}


def write_context(bytes_by_path: Mapping[str, bytes], folder: Path) -> None:
    """Write the files to a new or empty folder. Raise Rejected for any other, OSError."""
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise Rejected([make_problem("folder-in-use.build-context", given=str(folder))])
    with make_atomically(Path(os.path.abspath(folder))) as scratch:
        for path, body in bytes_by_path.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_bytes(body)
