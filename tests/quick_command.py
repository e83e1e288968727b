"""A command of a stand-in, started quicker than a Python: one process has everything imported, and makes itself a copy
a call.

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
call = marshal.dumps(({folder!r}, [*{first!r}, *sys.argv[1:]], dict(os.environ), os.getcwd()))
line.sendmsg([len(call).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
line.sendall(call)
sys.exit((line.recv(1) or b"\\x01")[0])
"""


def make_executable(module: str, place: Path, folder: Path, *first: str) -> str:
    """Return the text of the executable.

    :param module: its `main` gets the folder and the words, and its `prepare`, if it has one, is called once.
    :param place: the folder that the module is imported from.
    :param folder: of the stand-in.
    :param first: words before those of the call.
    """
    address, _ = start_server(module, place)
    return CALL.format(python=sys.executable, address=address, folder=str(folder), first=first)


@functools.cache
def start_server(module: str, place: Path) -> "tuple[str, subprocess.Popen[bytes]]":
    """Return where the process listens, and that process: it ends with this one, which closes its stdin then."""
    address = f"{tempfile.mkdtemp(prefix='command-')}/call"
    paths = [str(place), str(Path(__file__).parent)]
    program = f"import sys; sys.path[:0] = {paths!r}; import quick_command; quick_command.serve()"
    words = [sys.executable, "-c", program, module, address]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)  # or Python complains of a process that still runs
    assert server.stdout
    server.stdout.readline()  # it listens
    return address, server


def serve() -> None:
    """Answer calls until stdin ends."""
    name, address = sys.argv[1:]
    module = importlib.import_module(name)
    getattr(module, "prepare", lambda: None)()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        print("listening", flush=True)
        while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
            line, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(line, module.main)
            line.close()
    shutil.rmtree(Path(address).parent)


def answer(line: socket.socket, main) -> None:
    """Answer one call, in a copy of its own."""
    size, streams, _, _ = socket.recv_fds(line, 4, 3)
    call = b""
    while len(call) < int.from_bytes(size, "big"):
        if not (piece := line.recv(1 << 16)):
            os._exit(1)  # the caller was killed as it called
        call += piece
    folder, words, environment, here = loads(call)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(here)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1 if os.isatty(1) else -1), os.fdopen(2, "w", 1)
    threading.Thread(target=end_with, args=(line,), daemon=True).start()
    code = 1
    try:
        code = main(Path(folder), words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os.closerange(0, 3)  # whoever waits for the executable finds no lock held on its output
    line.send(bytes([code]))
    os._exit(code)


def end_with(line: socket.socket) -> None:
    """End when the executable is gone."""
    line.recv(1)
    os._exit(128 + signal.SIGTERM)
