"""What `python3 start.py` does in the container: it unpacks the job and becomes the runtime.

It is the same for every job: where to unpack, it reads in the document beside it. Every `python3` since 3.6 can read
it, to say when it is too old.
"""

COMMAND = "python3 start.py"
PROGRAM = """\
import os
import sys


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


if sys.version_info < (3, 10):
    found = sys.version.split()[0]
    refuse("the python3 of this image is " + found + ", and 3.10 is the oldest that will do: use another --image")
try:
    import json, shutil, zipfile
except ImportError as error:
    refuse("the python3 of this image lacks a part of its library (" + str(error) + "): use another --image")
code = os.path.dirname(os.path.abspath(__file__))
try:
    with open(os.path.join(code, "job.json"), encoding="utf-8") as file:
        folder = json.load(file)["placement"]["work"]
    os.makedirs(folder, exist_ok=True)
    shutil.copyfile(os.path.join(code, "job.json"), os.path.join(folder, "job.json"))
    with zipfile.ZipFile(os.path.join(code, "payload.zip")) as packed:
        packed.extractall(os.path.join(folder, "payload"))
except (OSError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
    refuse("the job cannot be unpacked: " + (str(error) or type(error).__name__))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "job.json"])
"""
