"""The floor: GETs of blobs known beforehand on 16 connections that stay open, written to disk, and verified by nothing.

    python raw_gets.py HOST NAMES_FILE TO TOKEN

Names, one a line, are paths on the host, the largest first. Prints seconds.
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

THREADS = 16
PIECE = 1 << 20


def main() -> None:
    """Fetch them."""
    host, names, to, token = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    waiting: SimpleQueue[str] = SimpleQueue()
    for name in names.read_text().splitlines():
        waiting.put(name)
        (to / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    began = time.perf_counter()
    working = [threading.Thread(target=work, args=(host, context, token, waiting, to)) for _ in range(THREADS)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    print(json.dumps({"seconds": time.perf_counter() - began}))


def work(host: str, context: ssl.SSLContext, token: str, waiting: "SimpleQueue[str]", to: Path) -> None:
    """One connection, until nothing is left."""
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    connection = http.client.HTTPSConnection(proxy.hostname or "", proxy.port, context=context)
    connection.set_tunnel(host)
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03"}
    buffer = memoryview(bytearray(PIECE))
    while True:
        try:
            name = waiting.get_nowait()
        except Empty:
            connection.close()
            return
        connection.request("GET", name, headers=headers)
        came = connection.getresponse()
        assert came.status == 200, (name, came.status)
        with open(to / name.lstrip("/"), "wb", buffering=0) as file:
            while count := came.readinto(buffer):
                file.write(buffer[:count])


if __name__ == "__main__":
    main()
