"""Programs that start in a moment: a process that has imported what they need forks each one.

`WarmServer.environment` is a folder that takes the place of an environment. What its `python -m MODULE …` starts is a
fork, in a process group of its own, with the words, variables, folder and files of the caller, which stays to pass
signals on and ends as the fork does. Anything else, and a start that would find other imports (a variable that was read
by one of them has another value, other limits or another namespace), is started by the environment's own Python; so is
everything while `ROBOTRAIN_TEST_COLD` is set, and in a job of Slurm, which follows the processes that it starts. Linux
only. This file is the server's program, too, in any environment.
"""

import fcntl
import gc
import importlib
import marshal
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COLD_VARIABLE = "ROBOTRAIN_TEST_COLD"
STARTED, COLD = b"w", b"c"
OTHERS = ("robotrain_runtime.", "venv")
"""Modules that import something else."""
CLIENT = """\
#!{python} -IS
import _signal, _socket, marshal, os, sys


def start_cold():
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])


def list_files():
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            os.fstat(number)
        except OSError:
            continue
        yield number


if sys.argv[1:2] != ["-m"] or sys.argv[2].startswith({others!r}) or os.environ.keys() & {{{cold!r}, "SLURM_JOB_ID"}}:
    start_cold()
files = [*list_files()]
line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    line.connect({address!r})
    umask = os.umask(0)
    os.umask(umask)
    limits = [open("/proc/self/" + name).read() for name in ("limits", "cgroup")]
    limits += [os.readlink("/proc/self/ns/" + name) for name in ("mnt", "net", "pid")]
    call = marshal.dumps((sys.argv[1:], dict(os.environ), os.getcwd(), files, umask, limits))
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in files)
    line.sendmsg([len(call).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    line.sendall(call)
    answer = line.recv(1)
except OSError:
    answer = b""
if answer != {started!r}:
    start_cold()
process = int.from_bytes(line.recv(4), "big")


def forward(number, frame):
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass


for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2):
    if _signal.getsignal(number) != _signal.SIG_IGN:
        _signal.signal(number, forward)
nothing = os.open("/dev/null", os.O_RDWR)
for number in files:  # whoever reads or writes them sees that the program closes them
    os.dup2(nothing, number)
status = line.recv(4)
code = os.waitstatus_to_exitcode(int.from_bytes(status, "big")) if status else 1
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


REBOUND = (
    *("huggingface_hub.constants", "diffusers.utils.constants", "datasets.config", "lerobot.utils.constants"),
    *("accelerate.commands.config.config_args", "torch.hub", "torchvision._internally_replaced_utils"),
)
"""Modules that make constants of variables: they are read anew in a fork whose variables differ."""
SAME_CONSTANTS = ("transformers.utils.hub",)
"""Modules that make constants of the same names and values as those do."""
CONSTANT = (str, int, float, Path, type(None))
READ_OUTSIDE_PYTHON = (
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "LD_", "MALLOC_"),
    *("PYTHON", "TQDM_", "FSSPEC_", "LC_", "LANG"),
)
"""First letters of variables that libraries read while they are imported, otherwise than by name."""
FOLLOWED = ("PYTHONPATH", "PYTHONNOUSERSITE", "COLUMNS", "LINES")
"""Variables that a fork follows, or of which nothing depends: the size of accelerate's menus, packages of the user."""

Call = tuple[list[str], dict[str, str], str, list[int], int, list[str]]

LEROBOT = """
import gc, importlib.metadata, sys
read, importlib.metadata.packages_distributions = importlib.metadata.packages_distributions, dict
gc.disable()
import lerobot.policies.act.modeling_act, lerobot.policies.diffusion.modeling_diffusion, lerobot.rewards
import lerobot.scripts.lerobot_train, lerobot.policies.factory, peft, torch, torchvision
gc.enable()
importlib.metadata.packages_distributions = read
del sys.modules["lerobot.scripts.lerobot_train"], lerobot.scripts.lerobot_train
assert torch.get_num_threads() == 1
"""
"""What trainings, evaluations, merges and checks import, as `warm_up.quick_imports` does it."""
LEROBOT_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Of most starts."""


class VariableReads:
    """The variables that imports read, each with the files of those who did, and what imports set."""

    def __init__(self) -> None:
        self.readers: dict[str, set[str]] = {}
        self.values: dict[str, str] = {}
        self.added: dict[str, str] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record them while the block runs."""
        self.values = dict(os.environ)
        environ_class = type(os.environ)
        read = environ_class.__getitem__

        def read_recorded(environ: Any, name: str) -> str:
            if reader := find_reader():
                self.readers.setdefault(name, set()).add(reader)
            return read(environ, name)

        environ_class.__getitem__ = read_recorded  # type: ignore[method-assign]
        try:
            yield
        finally:
            environ_class.__getitem__ = read  # type: ignore[method-assign]
            self.added = {name: value for name, value in os.environ.items() if self.values.get(name) != value}

    def find_changed(self, environ: Mapping[str, str]) -> set[str]:
        """Return the variables that imports read and that have another value there."""
        names = {name for name in {*self.values, *environ} if name.startswith(READ_OUTSIDE_PYTHON)}
        names = (names | self.readers.keys()) - {*FOLLOWED}
        return {name for name in names if environ.get(name) != self.values.get(name)}


def find_reader() -> str:
    """Return the file of the code that reads a variable by name; empty if it looks at all of them."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith("<frozen"):
        if frame.f_code.co_name == "__iter__":
            return ""
        frame = frame.f_back
    return frame.f_code.co_filename


def rebind_constants() -> None:
    """Make the constants anew, and give them to the modules that imported them by name."""
    for module in filter(None, map(sys.modules.get, REBOUND)):
        before = dict(vars(module))
        importlib.reload(module)
        changed = {
            name: (value, vars(module)[name])
            for name, value in before.items()
            if isinstance(value, CONSTANT) and vars(module).get(name) != value
        }
        for other in [*sys.modules.values()]:
            names = getattr(other, "__dict__", {})
            for name in changed.keys() & names.keys():
                old, new = changed[name]
                if type(names[name]) is type(old) and names[name] == old:
                    names[name] = new
    for name, client in (("hf_api", "api"), ("hf_file_system", "hffs")):  # their methods are functions of the package
        if module := sys.modules.get(f"huggingface_hub.{name}"):
            vars(module)[client].__init__()


def serve(address: str, imports: str) -> None:
    """Fork a program for each call until nobody holds the server; return in a fork, which is to run `sys.argv`."""
    holders = os.open(Path(address).with_name("holders"), os.O_RDONLY | os.O_NONBLOCK)
    reads = VariableReads()
    with reads.recorded():
        exec(imports, {})
    rebindable = {getattr(sys.modules.get(name), "__file__", None) for name in (*REBOUND, *SAME_CONSTANTS)}
    reread = {name for name, readers in reads.readers.items() if readers <= rebindable}
    limits = read_limits()
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    print("listening", flush=True)
    running: dict[int, tuple[socket.socket, int, int]] = {}
    """By the descriptor of the caller and that of the fork: both, and the fork's id."""
    while True:
        ready, _, _ = select.select([holders, listening, *running], [], [])
        if holders in ready:
            break
        if listening in ready:
            line, _ = listening.accept()
            with suppress(OSError, EOFError, ValueError, TypeError):
                call, files = receive_call(line)
                words, environ, _, _, _, there = call
                changed = reads.find_changed(environ)
                is_cold = bool(there) and (there != limits or not changed <= reread)
                about = (sorted(changed - reread), "" if there == limits else "other limits") if is_cold else ("warm",)
                print(*words[:2], *about, file=sys.stderr, flush=True)
                if is_cold:
                    line.sendall(COLD)
                    close_all(files)
                    line.close()
                    continue
                if (process := os.fork()) == 0:
                    for number in {holders, listening.fileno(), line.fileno(), *running}:
                        os.close(number)
                    for closed in (listening, line, *(caller for caller, _, _ in running.values())):
                        closed.detach()
                    enter_call(call, files, {**environ, **reads.added}, bool(changed))
                    return
                with suppress(ProcessLookupError, PermissionError):
                    os.setpgid(process, process)
                close_all(files)
                watched = os.pidfd_open(process)
                running[line.fileno()] = running[watched] = (line, watched, process)
                line.sendall(STARTED + process.to_bytes(4, "big"))
        for number in ready:
            if isinstance(number, int) and number in running:
                line, watched, process = running[number]
                if number != watched:
                    end_group(process)
                status = os.waitpid(process, 0)[1]
                del running[line.fileno()], running[watched]
                with suppress(OSError):
                    line.sendall(status.to_bytes(4, "big"))
                os.close(watched)
                line.close()
    for _, _, process in running.values():
        end_group(process)
    print(f"{sum(os.times()[:4]):.1f} s of CPU time with all programs", file=sys.stderr, flush=True)
    shutil.rmtree(Path(address).parent, ignore_errors=True)
    os._exit(0)


def end_group(process: int) -> None:
    """Kill a program and its process group; it has not been waited for."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(process, signal.SIGKILL)


def receive_call(line: socket.socket) -> tuple[Call, list[int]]:
    """Return a call and the caller's files."""
    size, files, _, _ = socket.recv_fds(line, 4, 64)
    text = b""
    while len(text) < int.from_bytes(size, "big") and (piece := line.recv(1 << 16)):
        text += piece
    return marshal.loads(text), list(files)


def close_all(files: Sequence[int]) -> None:
    """Close files."""
    for number in files:
        os.close(number)


def read_limits() -> list[str]:
    """Return what a fork of this process shares with it: limits, its control group and its namespaces."""
    texts = [Path("/proc/self", name).read_text() for name in ("limits", "cgroup")]
    return [*texts, *(os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "pid"))]


def enter_call(call: Call, files: Sequence[int], environ: Mapping[str, str], is_changed: bool) -> None:
    """Give this process the words, variables, folder and files of the caller."""
    words, _, folder, numbers, umask, _ = call
    os.setpgid(0, 0)
    apart = [fcntl.fcntl(number, fcntl.F_DUPFD, 500) for number in files]
    close_all(files)
    for number, target in zip(apart, numbers, strict=True):
        os.dup2(number, target)
        os.close(number)
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environ)
    if is_changed:
        rebind_constants()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # as an import does
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = words


def run_program() -> None:
    """Run `-m MODULE …` of `sys.argv` as Python does."""
    del sys.argv[0]
    sys.modules["__main__"] = types.ModuleType("__main__")
    runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]


class WarmProcess:
    """A fork of a server."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid = int.from_bytes(line.recv(4), "big")

    def wait(self) -> int:
        """Return its exit status, as `subprocess` has it, once it has ended."""
        with self._line:
            status = self._line.recv(4)
        assert status, "the server ended"
        return os.waitstatus_to_exitcode(int.from_bytes(status, "big"))


class WarmServer:
    """A server in a folder, perhaps started by another process; it ends when all have closed it."""

    def __init__(self, folder: Path, log: Path) -> None:
        """Hold the server of a folder. Raise OSError if there is none.

        :param log: each start, whether it was warm, and why not.
        """
        self._address = str(folder / "call")
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self._address)  # or it has ended
        self._holder = os.open(folder / "holders", os.O_WRONLY | os.O_NONBLOCK)
        self.environment = folder / "environment"
        self.log = log

    def start(self, words: Sequence[str], environ: Mapping[str, str], output: str = os.devnull) -> WarmProcess:
        """Start `python WORDS` in this folder, with these variables, whatever imports have read of others. Its output
        goes to a file.
        """
        nothing, written = os.open(os.devnull, os.O_RDWR), os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.umask(umask := os.umask(0))
        call = marshal.dumps(([*words], dict(environ), os.getcwd(), [0, 1, 2], umask, []))
        line = socket.socket(socket.AF_UNIX)
        line.connect(self._address)
        socket.send_fds(line, [len(call).to_bytes(4, "big")], [nothing, written, written])
        close_all([nothing, written])
        line.sendall(call)
        assert line.recv(1) == STARTED, self.log.read_text()
        return WarmProcess(line)

    def close(self) -> None:
        """Let the server end, unless others hold it."""
        os.close(self._holder)


def open_server(log: Path, python: Path, imports: str, environ: Mapping[str, str]) -> WarmServer:
    """Start a server.

    :param log: a file.
    :param python: of its environment.
    :param imports: what it executes first.
    :param environ: its variables.
    """
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    make_environment(folder, python)
    os.mkfifo(folder / "holders")
    holders = os.open(folder / "holders", os.O_RDWR)
    program = f"import sys; sys.path.insert(0, {str(HERE)!r}); import warm_server; del sys.path[0]; warm_server.main()"
    with log.open("wb") as written:
        command = [python, "-c", program, folder / "call", imports]
        started = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=written,
            start_new_session=True,
        )
    with started:
        is_listening = bool(started.stdout and started.stdout.readline())
    try:
        assert is_listening, log.read_text()
        return WarmServer(folder, log)
    finally:
        os.close(holders)


def share_server(folder: Path, name: str, python: Path, imports: str, environ: Mapping[str, str]) -> WarmServer:
    """Return the server of that name that processes with the same folder share; the first one starts it."""
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place, log = folder / name, folder / f"{name}.log"
        with suppress(OSError):
            return WarmServer(Path(place.read_text()), log)
        server = open_server(log, python, imports, environ)
        place.write_text(str(server.environment.parent))
        return server


def share_lerobot(folder: Path, environment: Path, environ: Mapping[str, str], imports: str = "") -> WarmServer:
    """Return the server of an environment with LeRobot that processes with the same folder share.

    :param environ: the variables of most programs.
    :param imports: what is executed after the imports.
    """
    variables = {name: value for name, value in environ.items() if name not in FOLLOWED} | LEROBOT_VARIABLES
    return share_server(folder, f"warm-{environment.name}", environment / "bin/python", LEROBOT + imports, variables)


def make_environment(folder: Path, python: Path) -> None:
    """Make the folder that takes the place of the environment of `python`."""
    base, made = python.parent.parent, folder / "environment"
    (made / "bin").mkdir(parents=True)
    for path in [*base.iterdir(), *(base / "bin").iterdir()]:
        if path.name != "bin" and not path.name.startswith(("python", ".")):
            (made / path.relative_to(base)).symlink_to(path)
    facts = {
        "python": str(python),
        "address": str(folder / "call"),
        "cold": COLD_VARIABLE,
        "started": STARTED,
        "others": OTHERS,
    }
    client = made / "bin/python"
    client.write_text(CLIENT.format(**facts))
    client.chmod(0o755)


def main() -> None:
    """Serve in the background: `warm_server ADDRESS IMPORTS`."""
    _, address, imports = sys.argv
    if os.fork():
        os._exit(0)
    serve(address, imports)
    run_program()
