"""The command, started quicker than a Python: one process has everything imported, and makes itself a copy a call.

The executable hands over its words, its environment and its three streams, and ends as the copy does; a copy ends when
its executable is killed.
"""

import atexit
import functools
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from marshal import loads
from pathlib import Path

CALL = """\
#!{python} -IS
import _socket, marshal, os, sys
line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
line.connect({address!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
call = marshal.dumps(({folder!r}, sys.argv[1:], dict(os.environ), os.getcwd()))
line.sendmsg([len(call).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
line.sendall(call)
sys.exit((line.recv(1) or b"\\x01")[0])
"""
IMPORTED = (
    *("jinja2.sandbox", "yaml", "osmo_stand_in.service.routes", "osmo_stand_in.service.spec"),
    *(f"osmo_stand_in.cli.{name}" for name in ("account", "main", "observe", "submit")),
)
"""What most calls need."""


def script(folder: Path) -> str:
    """The text of the executable. folder: of the stand-in."""
    address, _ = started()
    return CALL.format(python=sys.executable, address=address, folder=str(folder))


@functools.cache
def started() -> "tuple[str, subprocess.Popen[bytes]]":
    """Where the process listens, and that process: it ends with this one, whose end of its stdin is closed then."""
    tests, address = str(Path(__file__).parents[1]), f"{tempfile.mkdtemp(prefix='osmo-')}/call"
    program = f"import sys; sys.path.insert(0, {tests!r}); from osmo_stand_in import quick_command as q; q.serve()"
    words = [sys.executable, "-c", program, address]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)  # or Python complains of a process that still runs
    assert server.stdout
    server.stdout.readline()  # it listens
    return address, server


def serve() -> None:
    """Until stdin ends."""
    from osmo_stand_in import config
    from osmo_stand_in.cli import grammar

    for name in IMPORTED:
        importlib.import_module(name)
    grammar.parser = functools.cache(grammar.parser)
    grammar.parser(config.numbers(config.DEFAULT["client"]))
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        print("listening", flush=True)
        while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
            line, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(line)
            line.close()
    shutil.rmtree(Path(sys.argv[1]).parent)


def answer(line: socket.socket) -> None:
    """One call, in a copy of its own."""
    from osmo_stand_in.cli.main import main

    size, streams, _, _ = socket.recv_fds(line, 4, 3)
    call = b""
    while len(call) < int.from_bytes(size, "big"):
        call += line.recv(1 << 16)
    folder, words, environment, here = loads(call)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(here)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1 if os.isatty(1) else -1), os.fdopen(2, "w", 1)
    threading.Thread(target=ends_with, args=(line,), daemon=True).start()
    code = 1
    try:
        code = main(Path(folder), words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    line.send(bytes([code]))
    os._exit(code)


def ends_with(line: socket.socket) -> None:
    """When the executable is gone, so is this."""
    line.recv(1)
    os._exit(128 + signal.SIGTERM)
