"""The Dockerfile: what it is for, then one layer for uv and one for each environment.

Nothing of the build context stays in the image, and no package host and no secret is named: pip and uv read the
configuration of whoever builds, mounted as a secret while they run.
"""

import re
from collections.abc import Iterator, Sequence

from robotrain.image.environments import Locked

PLACE = "/opt/robotrain"
"""Where a run looks for what its image holds."""
CONTEXT = "/tmp/robotrain-image"
CACHE = "/var/cache/robotrain-image"
RUNTIME = "robotrain_runtime"
UV = f"{RUNTIME}/environments/uv.txt"
LOCKS = "locks"
MOUNTS = (
    f"--mount=type=bind,target={CONTEXT}",
    f"--mount=type=cache,target={CACHE}",
    "--mount=type=secret,id=pip,target=/etc/pip.conf",
    "--mount=type=secret,id=uv,target=/etc/uv/uv.toml",
)
HEAD = """\
# {image} with what {workload} jobs run in, so that no run builds it. Written by robotrain {version}, and
# not built here: build it in this folder, where there is a Docker (BuildKit) or a buildah.
#
#   docker build -t NAME .
#   docker build -t NAME --secret id=pip,src=PIP.CONF --secret id=uv,src=UV.TOML .   with your own package index
#
# A run finds these by the digests of their locks and builds nothing, as long as its locks are the same:
{listed}
# Of an image that holds the locked torch for this Python, that torch is used and not fetched.
"""


def text(workload: str, image: str, locked: Sequence[Locked], uv: str, version: str) -> str:
    """The whole file. uv: its pinned version. version: of robotrain."""
    width = max(len(one.name) for one in locked)
    listed = "\n".join(f"#   {one.name:<{width}}  {one.digest}  (Python {one.python})" for one in locked)
    head = HEAD.format(image=image, workload=workload, version=version, listed=listed)
    lines = [f"ARG BASE={image}", "FROM ${BASE}", *_layers(locked, uv)]
    return head + "\n" + "\n".join(lines) + "\n"


def default_image(python: str) -> str:
    """An official image with the newest Python that an environment takes."""
    return f"python:{(re.findall(r'[^-]+', python) or ['3'])[-1]}-slim"


def _layers(locked: Sequence[Locked], uv: str) -> Iterator[str]:
    """Smallest first: a layer that did not change is not built again."""
    flags = "--no-deps --require-hashes --only-binary :all:"
    pip = f"PIP_CACHE_DIR={CACHE}/pip python3 -m pip install --disable-pip-version-check {flags}"
    yield _run(f"{pip} --target {PLACE}/uv/{uv} -r {CONTEXT}/{UV}")
    uses = f"UV_CACHE_DIR={CACHE}/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1"  # else each container compiles it anew
    start = f"{uses} PYTHONPATH={CONTEXT} python3 -B -m {RUNTIME} environment"
    for one in sorted(locked, key=lambda one: one.gib):
        what = f"{CONTEXT}/{LOCKS}/{one.name} --python {one.python} --gib {one.gib:g}"
        yield _run(f"{start} {what} --cache {PLACE}")


def _run(command: str) -> str:
    return "RUN " + " \\\n    ".join([*MOUNTS, command])
