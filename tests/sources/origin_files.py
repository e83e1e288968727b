"""Files of a source, read in the data environment as the transfer reads them."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from problem_assertions import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.fetching.program import make_process_env

STRANGE_NAMES = (
    "a b",
    "a#b",
    "a%b",
    "a%20b",
    "a+b",
    "a&b=c",
    "a?b",
    "x~y!(z)'*",
    "[b]{c}",
    "a:b@c,d;e$",
    "ü",
    "日本",
    "a|b^`",
    "<>",
)
"""Names of files that addresses write in other letters."""

READER = Path(__file__).with_name("origin_reader.py")


def read_origin(python: Path, module: str, *arguments: str) -> Any:
    """Its files, by their SHA-256, or why there are none."""
    command = [str(python), str(READER), module, *arguments]
    done = subprocess.run(command, env=make_process_env(), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def check_refused(origin: Mapping[str, Any], fault: str) -> None:
    """Check why a source cannot be read, and whose fault that is."""
    check_refusals(FetchError(origin["refused"], origin["fault"]), f"fetch-error {fault}")


def compute_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of what files hold."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
