"""The half in the container: packed whole, at home beside a bare Python, in an environment that is locked by hash."""

import io
import re
import zipfile
from pathlib import Path
from types import ModuleType

from robotrain_runtime.half import Environment

from robotrain.payload import pack
from robotrain.testing.source.packed import imports_alone
from robotrain.testing.workload.base import OfWorkload
from robotrain.workload import Workload

CALLED = ("inspect", "work", "tracked")
PINNED = r"(?:==|@ )\S+.*--hash=sha256:[0-9a-f]{64}"
PYTHON = r"3\.\d+(?:-3\.\d+)?"


class AtHome(OfWorkload):
    """Of the module that acts in the container."""

    def test_what_is_packed_needs_the_standard_library_alone(self, declared: Workload, tmp_path: Path) -> None:
        """The image is a stranger's: a half imports the standard library, robotrain_runtime and what lies beside it."""
        imports_alone(tmp_path, declared.half)

    def test_the_half_has_what_the_runtime_calls(self, half: ModuleType) -> None:
        """The runtime knows no workload: it asks each half the same."""
        lacking = [name for name in CALLED if not callable(getattr(half, name, None))]
        assert not lacking, f"{half.__name__} has no {', '.join(lacking)}"
        assert isinstance(getattr(half, "ENVIRONMENT", None), Environment), "it has no ENVIRONMENT"

    def test_its_environment_is_locked_by_hash(self, declared: Workload, half: ModuleType) -> None:
        """A job runs the same code a year later: each line of the lock has its version and hash, and it is packed."""
        environment: Environment = half.ENVIRONMENT
        assert re.fullmatch(PYTHON, environment.python), f"{environment.python!r} is no version of Python"
        assert environment.gib > 0, "say how much disk it needs"
        assert not unhashed(environment.lock.read_text()), "without a hash: `uv pip compile --generate-hashes`"
        names = zipfile.ZipFile(io.BytesIO(pack([declared.half]).archive)).namelist()
        assert any(environment.lock.as_posix().endswith(f"/{name}") for name in names), "the lock is not packed"


def unhashed(lock: str) -> list[str]:
    """The requirements of a lock that are not pinned by version and hash."""
    lines = re.sub(r"\\\s*\n", " ", lock).split("\n")
    requirements = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "--"))]
    return [line.split()[0] for line in requirements if not re.search(PINNED, line)]
