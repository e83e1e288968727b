"""The first code that runs on a login node: it takes robotrain's code, unless it has it, and starts the agent.

It is sent as it is, and imports nothing but the standard library of Python 3.10.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

MARK = "robotrain-login-node"
"""What an answer begins with: profiles of a shell may print before it."""
LOGIN_SHELL_SECONDS = 20
KEPT_SECONDS = 30 * 86400
FILES = ".files.json"
"""In the folder of a code: the size of each file, as clusters remove single files that nobody has read for long."""


def get_code_folder() -> str:
    """Return the folder of the codes that were sent, which only this user may write to."""
    cache = os.environ.get("ROBOTRAIN_CACHE")
    if not cache:
        base = os.environ.get("XDG_CACHE_HOME", "")
        cache = os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "robotrain")
    return os.path.join(os.path.abspath(os.path.expanduser(cache)), "login")


def is_own(folder: str) -> bool:
    """Return whether a folder is there that nobody else may have written to."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return os.path.isdir(folder) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def is_whole(folder: str) -> bool:
    """Return whether a folder is this user's own, and has each file that was unpacked there."""
    try:
        with open(os.path.join(folder, FILES), encoding="utf-8") as file:
            sizes = json.load(file)
        found = all(os.path.getsize(os.path.join(folder, name)) == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False
    return found and is_own(folder)


def read_login_shell() -> None:
    """Take over what a login shell sets, where Slurm is not on the PATH of a command that comes by ssh."""
    if shutil.which("sbatch"):
        return
    try:
        words = ["/bin/bash", "-l", "-c", "env -0"]
        found = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=LOGIN_SHELL_SECONDS, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return
    pairs = [line.partition("=") for line in os.fsdecode(found).split("\0")]
    os.environ.update({name: value for name, _, value in pairs if name and name not in os.environ})
    os.environ.update({name: value for name, _, value in pairs if name == "PATH"})


def unpack(archive: bytes, folder: str) -> None:
    """Unpack the code, and remove what has not been used for long. Raise OSError."""
    above = os.path.dirname(folder)
    os.makedirs(above, mode=0o700, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix=".", dir=above)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            packed.extractall(scratch)
            sizes = {one.filename: one.file_size for one in packed.infolist() if not one.is_dir()}
        with open(os.path.join(scratch, FILES), "w", encoding="utf-8") as file:
            json.dump(sizes, file)
        if os.path.lexists(folder) and not is_own(folder):
            raise PermissionError(13, "another user may write to it", folder)
        if os.path.lexists(folder) and not is_whole(folder):
            damaged = tempfile.mkdtemp(prefix=".", dir=above)
            os.rename(folder, damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        os.rename(scratch, folder)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if not is_whole(folder):  # else another command unpacked it meanwhile
            raise
    for name in os.listdir(above):
        old = os.path.join(above, name)
        if old != folder and os.path.isdir(old) and time.time() - os.stat(old).st_mtime > KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Answer who this is, take the code, and serve calls until the line ends."""
    source, answer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a program prints is no answer
    folder = os.path.join(get_code_folder(), json.loads(source.readline())["code"])
    read_login_shell()
    about = {
        "home": os.path.expanduser("~"),
        "host": os.uname().nodename,
        "python": ".".join(map(str, sys.version_info[:2])),
        "has_sbatch": shutil.which("sbatch") is not None,
        "has_code": is_whole(folder),
    }
    answer.write(f"\n{MARK} {json.dumps(about)}\n".encode())
    answer.flush()
    size = int(source.readline() or 0)
    try:
        if size:
            archive = source.read(size)
            if len(archive) < size:
                return
            unpack(archive, folder)
        os.utime(folder)
    except OSError as error:
        why = f"{error.filename or folder}: {error.strerror or error}"
        answer.write(json.dumps({"failure": why, "sizes": []}).encode() + b"\n")
        answer.flush()
        return
    sys.path.insert(0, folder)
    from robotrain_slurm.login import agent

    agent.serve(source, answer)


if __name__ == "__main__":
    main()
