"""The batch script of a job without a shared disk: it carries the plan, and unpacks it into a folder of the node.

The plan stands in comments, which the shell never reads: it ends with `exec` before them. Packed files are hex digits:
in random letters one finds, now and then, what has the shape of a secret.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robotrain_slurm.spec.options import Option
from robotrain_slurm.spec.script import BATCH_MODULE, begin_script
from robotrain_slurm.spec.submission_spec import SCRIPT_FILE, SUBMISSION_FILE

SUBMISSION_VARIABLE = "ROBOTRAIN_SUBMISSION"
"""The environment variable of what all attempts of a run share, wherever they run."""
MAX_SCRIPT_BYTES = 4 << 20
"""The largest script that Slurm takes, unless its administrator changed that."""
START_FOLDER = "/tmp"
"""Where the job starts, and its script prints to: the run folder does not exist yet."""
LINE_BYTES = 3 << 10
SEARCH, PROGRAM, ARCHIVE = "#search ", "#program ", "#archive "
BODY = f"""\
export {SUBMISSION_VARIABLE}={{token}}
exec /bin/sh -c "$(sed -n 's/^{SEARCH}//p' "$0")" sh -c "$(sed -n 's/^{PROGRAM}//p' "$0")" "$0"
"""
UNPACK = f"""\
import io, json, os, shutil, sys, zipfile
script, mark = sys.argv[1], b"{ARCHIVE}"
os.umask(0o077)
with open(script, "rb") as lines:
    packed = b"".join(bytes.fromhex(line[len(mark):].decode()) for line in lines if line.startswith(mark))
with zipfile.ZipFile(io.BytesIO(packed)) as archive:
    folder = json.loads(archive.read("{SUBMISSION_FILE}"))["folder"]
    os.makedirs(folder, exist_ok=True)
    if os.stat(folder).st_uid != os.getuid():
        sys.exit(f"error: {{folder}} belongs to another user of this node: use another --runs-dir")
    archive.extractall(folder)
shutil.copyfile(script, os.path.join(folder, "{SCRIPT_FILE}"))
os.chdir(folder)
own = {{"PYTHONPATH": os.path.join(folder, "payload"), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}}
os.environ.update(own)
os.execv(sys.executable, [sys.executable, "-m", "{BATCH_MODULE}"])
"""


def make_node_script(
    options: Iterable[Option], prologue: Sequence[str], token: str, search: str, files: Mapping[str, bytes]
) -> str:
    """Return a batch script that carries files, and becomes the program of the node in their folder.

    :param token: what all attempts share; hex digits.
    :param search: the program that finds a Python.
    :param files: by their paths in the run folder: the spec, the document and the payload, unpacked.
    """
    lines = [*begin_script(options, prologue), BODY.format(token=token).rstrip("\n")]
    lines += [f"{SEARCH}{line}" for line in search.splitlines()]
    lines += [f"{PROGRAM}{line}" for line in UNPACK.splitlines()]
    lines += _pack_files(files)
    return "\n".join([*lines, ""])


def unpack_payload(archive: bytes) -> dict[str, bytes]:
    """Return the files of a payload by their paths in the run folder."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {f"payload/{name}": packed.read(name) for name in packed.namelist() if not name.endswith("/")}


def _pack_files(files: Mapping[str, bytes]) -> Iterator[str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))  # equal content gives equal bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, content)
    packed = buffer.getvalue()
    for start in range(0, len(packed), LINE_BYTES):
        yield ARCHIVE + packed[start : start + LINE_BYTES].hex()
