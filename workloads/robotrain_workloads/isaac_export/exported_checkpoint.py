"""The checkpoint to export: its files, its digest, and what Isaac Lab's Python found in it."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

from robotrain_workloads.isaac import checkpoint_file, installation
from robotrain_workloads.isaac_export.parameters import DEFAULT_TASK

CONVERTER = Path(__file__).parent / "image" / "convert.py"
AGENT_FILE = "params/agent.yaml"
SAFE_SCHEME = "https://"
FETCH_SECONDS = 20.0
MAX_FILE_BYTES = 1 << 20


class CheckpointFiles(NamedTuple):
    """A checkpoint's file, and the parameters of its agent; None if they are missing."""

    weights: Path
    agent: Path | None

    @property
    def step(self) -> int:
        """The number in the file's name; 0 if it has none."""
        return checkpoint_file.parse_number(self.weights) or 0


def find_files(source: Path) -> CheckpointFiles:
    """Return the files of a checkpoint. Raise OSError with a sentence."""
    weights = checkpoint_file.find_checkpoint_file(source)
    return CheckpointFiles(weights, checkpoint_file.find_params(weights))


def fetch_files(source: Path, address: str, agent_config: str, folder: Path) -> CheckpointFiles:
    """Return the files of a checkpoint, those that are not beside it downloaded to `folder`.

    :param address: of the checkpoint; at a web address only the checkpoint itself was fetched.
    :param agent_config: the address or the path of the agent's parameters; empty to look beside the checkpoint.
    :raises OSError: with a sentence.
    """
    files = find_files(source)
    if agent_config.startswith(SAFE_SCHEME):
        return files._replace(agent=_download(agent_config, folder / AGENT_FILE))
    if agent_config:
        if not Path(agent_config).is_file():
            raise FileNotFoundError(f"there is no file {agent_config} where the job runs\n--agent-config FILE or URL")
        return files._replace(agent=Path(agent_config))
    if files.agent is None and address.startswith(SAFE_SCHEME):
        return files._replace(agent=_download_beside(address, folder))
    return files


def _download_beside(address: str, folder: Path) -> Path | None:
    """Download what training left beside a checkpoint, or beside its folder; None if it is not there."""
    for root in (urljoin(address, "."), urljoin(address, "..")):
        try:
            agent = _download(urljoin(root, AGENT_FILE), folder / AGENT_FILE)
        except FileNotFoundError:
            continue
        with contextlib.suppress(FileNotFoundError):  # another program may have trained it
            _download(urljoin(root, checkpoint_file.FACTS_FILE), folder / checkpoint_file.FACTS_FILE)
        return agent
    return None


def _download(address: str, to: Path) -> Path:
    """Download a small file. Raise FileNotFoundError if a server does not give it, OSError, with a sentence."""
    request = urllib.request.Request(address, headers={"User-Agent": "robotrain"})
    try:
        with urllib.request.urlopen(request, timeout=FETCH_SECONDS) as response:
            if not response.geturl().startswith(SAFE_SCHEME):
                raise OSError(f"{address} is redirected to an address without encryption")
            content = response.read(MAX_FILE_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            kind = FileNotFoundError if error.code < 500 else OSError
            raise kind(f"{address} cannot be downloaded: HTTP {error.code}\n--agent-config FILE or URL") from None
    except urllib.error.URLError as error:
        raise OSError(f"{address} cannot be downloaded: {error.reason}") from error
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"{address} is larger than {MAX_FILE_BYTES >> 20} MiB, so it is no {to.name}")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(content)
    return to


def choose_task(given: str | None, files: CheckpointFiles, source: Path, cache: Path) -> str:
    """Return the task to play."""
    beside = [files.weights, *([files.agent.parents[1] / files.weights.name] if files.agent else [])]
    known = (checkpoint_file.read_facts(file, source, cache).task for file in beside)
    return given or next(filter(None, known), DEFAULT_TASK)


def find_file_problems(files: CheckpointFiles, sha256: str | None) -> Iterator[str]:
    """Yield the problems of the files, each with the remedy on a second line."""
    if problem := checkpoint_file.find_digest_problem(files.weights, sha256):
        yield problem
    if files.agent is None:
        yield (
            f"{files.weights} has no params/agent.yaml beside it: a checkpoint does not tell activation and clipping\n"
            "--checkpoint-uri FOLDER, which has both, or --agent-config URL"
        )


def ask_isaac_lab(folder: Path, files: CheckpointFiles) -> installation.Probe:
    """Return the versions of Isaac Lab's libraries and what they find in the checkpoint. Raise OSError."""
    answer = installation.ask_program(folder, CONVERTER, str(files.weights), str(files.agent))
    return installation.Probe(answer["versions"], answer["checkpoint"])


def find_content_problems(files: CheckpointFiles, found: Mapping[str, Any], backend: str | None) -> Iterator[str]:
    """Yield why the policy cannot be exported."""
    if problem := found.get("problem"):
        yield f"{files.weights} cannot be exported: {problem}"
    elif backend not in (None, found["backend"]):
        yield f"{files.weights} is a checkpoint of {found['backend']}, not of {backend}\n--backend {found['backend']}"
