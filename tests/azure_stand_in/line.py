"""A long line: bytes to a port of this machine and back, each piece on its way there so many seconds late.

Nothing is decrypted, so that what stands at both ends costs what it costs alone.
"""

import asyncio
import contextlib
import threading
import time
from types import TracebackType

PIECE = 1 << 18


class Line:
    """Leads to `target`; `port` is where it begins. latency: seconds, of what goes there; answers come at once."""

    def __init__(self, target: int, latency: float) -> None:
        self._target = target
        self._latency = latency
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listens = threading.Event()
        self._end = asyncio.Event()
        self.port = 0

    def __enter__(self) -> "Line":
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._listen())

    async def _listen(self) -> None:
        """Serve until the end; then nothing stays open."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._end.wait()
        server.close()
        own = asyncio.current_task()
        serving = [task for task in asyncio.all_tasks() if task is not own]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, come: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, go = await asyncio.open_connection("127.0.0.1", self._target, limit=PIECE)
        try:
            await asyncio.gather(self._late(come, go), _at_once(answers, back), return_exceptions=True)
        except asyncio.CancelledError:
            pass  # the line ends; to asyncio a cancelled connection would be an error to tell
        finally:
            for writer in (go, back):
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _late(self, come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
        """Every piece as late as it is meant to be, not later for those before it."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.ensure_future(_when_due(waiting, go))
        while piece := await come.read(PIECE):
            waiting.put_nowait((time.monotonic() + self._latency, piece))
        waiting.put_nowait((time.monotonic() + self._latency, b""))
        await writing


async def _when_due(waiting: "asyncio.Queue[tuple[float, bytes]]", go: asyncio.StreamWriter) -> None:
    while True:
        due, piece = await waiting.get()
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if not piece:
            go.close()
            return
        go.write(piece)
        await go.drain()


async def _at_once(come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
    while piece := await come.read(PIECE):
        go.write(piece)
        await go.drain()
    go.close()
