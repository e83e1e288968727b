"""Pages of the documents, as their readers type them: every line of their shell blocks, in order, in one bash.

    python tests/pages/page_session.py PAGE...

types them in this folder, an empty one, with the `robotrain` of this shell. pages.toml says for each page what its
reader has before the first line, and what is typed for values that are the reader's. Standard library only.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads(Path(__file__).with_name("pages.toml").read_text())
BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NOT_INHERITED = ("PYTEST_", "ROBOTRAIN_", "VIRTUAL_ENV", "UV_PROJECT", "COLUMNS", "LINES")  # pytest sets the last two
END = "@end@"
LINE_SECONDS = 600.0
"""The longest that a line may take."""


class PageError(Exception):
    """A line of a page that does not do what the page says."""


@dataclass(frozen=True)
class Page:
    """given: lines for what its reader has before. files: what its reader writes: the first block that begins so, by
    file. replace: patterns, what is typed in their place, and why.
    """

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[str] = ()
    replace: Sequence[tuple[str, str, str]] = ()
    exits: Mapping[str, int] = field(default_factory=dict)
    """Exit codes other than 0, by the line's beginning."""
    uses: Sequence[str] = ()
    """Stand-ins: fixtures of the tests."""

    @property
    def path(self) -> Path:
        return ROOT / self.name

    def lines(self) -> list[str]:
        """The commands of its shell blocks as they stand there, without those that are empty or a remark."""
        blocks = BLOCK.findall(self.path.read_text())
        lines = "".join(text for _, text in blocks).replace("\\\n", "").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]

    def typed(self) -> Iterator[tuple[str, str]]:
        """Each line that can run here, and what is typed for it."""
        left_out = {skipped["line"] for skipped in DECLARED["not_run"] if skipped["page"] == self.name}
        for line in self.lines():
            if line not in left_out:
                yield line, self._fill_in(line)

    def written(self) -> Iterator[tuple[str, str]]:
        """Each file that its reader writes, and its content."""
        text = self.path.read_text()
        for name, start in self.files.items():
            block = text[text.index(f"\n{start}") + 1 :].partition("\n```")[0]
            yield name, f"{self._fill_in(block)}\n"

    def _fill_in(self, text: str) -> str:
        for before, after, _ in self.replace:
            text = re.sub(before, after, text)
        return text


def read_pages() -> dict[str, Page]:
    """Return the pages that are run, by name."""
    return {name: Page(name, **declared) for name, declared in DECLARED["pages"].items()}


class Shell:
    """A bash that stays, as that of a person does."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            ["bash"],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=inherited | {**environ},
            start_new_session=True,
        )

    def type(self, lines: str) -> tuple[str, int]:
        """Return what they print, and the exit code of the last one."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{{ {lines.rstrip()}\n}} </dev/null\nprintf '\\n{END} %s\\n' $?\n")
        self.process.stdin.flush()
        result, limit = "", threading.Timer(LINE_SECONDS, self._kill)
        limit.start()
        try:
            for line in self.process.stdout:
                if line.startswith(END):
                    return result.removesuffix("\n"), int(line.split()[1])
                result += line
        finally:
            limit.cancel()
        raise PageError(f"$ {lines}\n{result}\nit ended the shell, or took more than {LINE_SECONDS} s")

    def close(self) -> None:
        """End it, and what still runs in it."""
        self._kill()
        self.process.communicate()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run_page(page: Page, shell: Shell, then: Callable[[str], object] = lambda line: None) -> None:
    """Type a page. then: called with each line after it.

    Raise PageError at the first line that ends otherwise than the page says.
    """
    for name, content in page.written():
        shell.type(f"mkdir -p $(dirname {name}) && cat >{name} <<'END'\n{content}END")
    for line, text in [*((command, command) for command in page.given), *page.typed()]:
        result, code = shell.type(text)
        wanted = next((code for start, code in page.exits.items() if line.startswith(start)), 0)
        if code != wanted:
            raise PageError(f"{page.name}: exit code {code}, not {wanted}:\n$ {text}\n{result}")
        then(line)


def main(names: Sequence[str]) -> None:
    """Type pages one after the other, in this folder; print each line with the seconds since the first began."""
    pages, began = read_pages(), time.monotonic()
    for name in names:
        shell = Shell(Path.cwd(), {name: value for name, value in os.environ.items() if name.startswith("ROBOTRAIN_")})
        try:
            run_page(pages[name], shell, lambda line: print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True))
        except PageError as error:
            sys.exit(str(error))
        finally:
            shell.close()


if __name__ == "__main__":
    main(sys.argv[1:])
