"""What `python3 -c` does first in the container: it unpacks the job and becomes the runtime.

No brace is doubled in the program and no `$(` is in it, and `tests/osmo` holds it to that: OSMO renders the workflow as
a template, and Kubernetes expands variables in a container's arguments. Every `python3` since 3.6 can read it, to say
when it is too old.
"""

PROGRAM = """\
import os
import sys

archive, folder = sys.argv[1:]


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


if sys.version_info < (3, 10):
    found = sys.version.split()[0]
    refuse("the python3 of this image is " + found + ", and 3.10 is the oldest that will do: use another --image")
try:
    import bz2, tarfile
except ImportError as error:
    refuse("the python3 of this image lacks a part of its library (" + str(error) + "): use another --image")
try:
    os.makedirs(folder, exist_ok=True)
    with tarfile.open(os.path.expandvars(archive), "r:bz2") as packed:
        packed.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
except (OSError, EOFError, tarfile.TarError) as error:
    refuse("the job cannot be unpacked in " + folder + ": " + str(error))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "job.json"])
"""


def command(archive: str, folder: str) -> list[str]:
    """The command of a task. archive: its path, which may begin with `${NAME}` of the environment. folder: where it is
    unpacked, and the run works.
    """
    return ["python3", "-c", PROGRAM.rstrip("\n"), archive, folder]
