"""The engine: a machine that is reached by ssh. Write yours in place of these functions: a client of its service, or
its own command.

Each question has a time limit, and silence is a temporary failure: it says nothing about a run.
"""

import io
import shlex
import subprocess
import tarfile
from collections.abc import Mapping

from robotrain.plugin import Problem, Rejected, RunState, Stage, Suggestion

STATES: dict[str, RunState] = {
    "starting": "pending",
    "running": "running",
    "0": "succeeded",
    "cancelled": "cancelled",
    "vanished": "lost",
}
"""What the engine's words mean; every other number is the exit code of a failure."""
# Scripts for the machine's `sh`. Their arguments are $1, $2, …: no value is ever pasted into a script.
START_SCRIPT = """\
echo $$ > .pid && mv .pid pid
"$1" -m zipfile -e payload.zip payload
[ -e cancelled ] || { PYTHONPATH=payload "$1" -m robotrain_runtime run job.json >> log.txt 2>&1 & }
echo $! > runtime
wait $!
echo $? > exit
"""
SUBMIT_SCRIPT = """\
mkdir -p "$1/.part.$$" && cd "$1" && tar -x -C ".part.$$" || exit 1
mv -T ".part.$$" "$2" 2>/dev/null || rm -r ".part.$$"
cd "$2" && [ "$(cat digest)" = "$4" ] || exit 3
mkdir started 2>/dev/null || exit 0
setsid sh start.sh "$3" >/dev/null 2>&1 </dev/null &
"""
"""The files come in one stream, are written beside their place and renamed: all of a run, or nothing."""
FIND_SCRIPT = 'cd "$1" 2>/dev/null && [ -e started ] && cat digest'
STATE_SCRIPT = """\
cd "$1" 2>/dev/null || { echo gone; exit; }
if [ ! -e pid ]; then echo starting
elif kill -0 "$(cat pid)" 2>/dev/null; then echo running
elif [ -e cancelled ]; then echo cancelled
else cat exit 2>/dev/null || echo vanished; fi
"""
LOG_SCRIPT = 'tail -c "+$2" "$1/log.txt" 2>/dev/null'
CANCEL_SCRIPT = 'cd "$1" && touch cancelled && kill "$(cat runtime)"'
CHECKPOINTS_SCRIPT = 'find "$1" -mindepth 4 -maxdepth 4 -name "$2" -exec dirname {} +'
CHECK_SCRIPT = 'mkdir -p "$1" && [ -w "$1" ] && "$2" -c "import sys; sys.exit(sys.version_info < (3, 10))"'
TAKEN = 3
"""The exit code of SUBMIT_SCRIPT where another run has the name."""


def is_ready(host: str, folder: str, python: str) -> bool:
    """Return whether runs can begin there. Raise Rejected if the machine does not answer, as every function here."""
    return run_script(host, CHECK_SCRIPT, folder, python)[0] == 0


def start(host: str, folder: str, run: str, python: str, digest: str, files: Mapping[str, bytes]) -> int:
    """Start a run, once for each digest; return 0, TAKEN, or the exit code of what went wrong."""
    packed = pack({**files, "digest": digest.encode(), "start.sh": START_SCRIPT.encode()})
    return run_script(host, SUBMIT_SCRIPT, folder, run, python, digest, data=packed)[0]


def find_digest(host: str, folder: str) -> str:
    """Return the digest of the run that was started in a folder; empty for none."""
    return run_script(host, FIND_SCRIPT, folder)[1].decode()


def find_state(host: str, folder: str) -> str:
    """Return the engine's word for a run; `gone` for one that it does not know."""
    return run_script(host, STATE_SCRIPT, folder)[1].decode().strip()


def read_log(host: str, folder: str, offset: int) -> bytes:
    """Return what the log has after so many bytes."""
    return run_script(host, LOG_SCRIPT, folder, str(offset + 1))[1]


def cancel(host: str, folder: str) -> None:
    """Ask a run to stop. The runtime needs SIGTERM and a minute: it saves a checkpoint."""
    run_script(host, CANCEL_SCRIPT, folder)


def list_checkpoints(host: str, folder: str, file_name: str) -> list[str]:
    """Return the folders of complete checkpoints: those that have a file of this name."""
    return run_script(host, CHECKPOINTS_SCRIPT, folder, file_name)[1].decode().splitlines()


def download(host: str, folder: str) -> bytes | None:
    """Return a folder as a tar archive; None if it does not exist any more."""
    code, archive = run_script(host, 'tar -c -C "$1" .', folder, seconds=3600)
    return None if code else archive


def run_script(host: str, script: str, *words: str, data: bytes = b"", seconds: float = 60) -> tuple[int, bytes]:
    """Run a script on the machine; return its exit code and what it printed. Raise Rejected if nothing answers."""
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host]
    line = shlex.join(["sh", "-c", script, "sh", *words])
    try:
        done = subprocess.run([*command, line], input=data, capture_output=True, timeout=seconds)
        code, reason = done.returncode, done.stderr.decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        code, reason = 255, f"It took longer than {seconds} s."
    if code == 255:  # ssh's own
        problem = Problem(
            code="ssh-box-silent",
            stage=Stage.SUBMIT,
            title=f"{host} does not answer",
            why=reason,
            suggestions=(Suggestion(f"ssh {host} true", "shows whether it answers"),),
        )
        raise Rejected([problem], transient=True)
    return code, done.stdout


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return files as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
