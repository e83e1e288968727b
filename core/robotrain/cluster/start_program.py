"""The program that a container starts with: it unpacks a job and becomes the runtime, with any image's `python3`."""

_PROGRAM = """\
import os
import sys


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


if sys.version_info < (3, 10):
    found = sys.version.split()[0]
    refuse("the python3 of this image is " + found + ", and 3.10 is the oldest that will do: use another --image")
try:
    import MODULES
except ImportError as error:
    refuse("the python3 of this image lacks a part of its library (" + str(error) + "): use another --image")
try:
    UNPACK
except Exception as error:
    refuse("the job cannot be unpacked: " + (str(error) or type(error).__name__))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "DOCUMENT"] + options)
"""


def make_start_program(modules: str, *unpack: str, document: str = "job.json") -> str:
    """Return the program. Python 3.6 can read it, to report that it is too old; it holds no template syntax.

    :param modules: what `unpack` imports beside os and sys.
    :param unpack: the lines that set `folder`, where they leave the document and the payload in `payload/`, and
        `options`, a list for the runtime.
    """
    lines = "\n    ".join(unpack)
    return _PROGRAM.replace("MODULES", modules).replace("UNPACK", lines).replace("DOCUMENT", document)
