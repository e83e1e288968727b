"""Rules of `isaac-export` for a resolved job, on the submit side: also what a checkpoint in a local folder shows."""

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.finding import get_finding, make_finding

from robotrain_workloads.isaac_export import container

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

KNOWN_MODULES = re.compile(r"torch(?:\..*)?|collections|_codecs|builtins|numpy(?:\..*)?")
"""What PyTorch may take for weights; it is stricter."""
RSL_RL_KEYS = {"model_state_dict", "actor_state_dict"}
SKRL_KEYS = {"policy", "optimizer", "value"}
STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


def check_play(job: "Job") -> Iterator[Problem]:
    """Reject a number of environments if nothing is played."""
    if job["num_envs"] != 4 and not job["max_steps"] and not job["video_length"]:
        yield make_problem("option-without-effect", suggest_leaving_out("--num-envs"), given=str(job["num_envs"]))


def check_local_checkpoint(job: "Job") -> Iterator[Problem]:
    """Check a checkpoint of this machine before anything is sent: digest, parameters, whose weights it holds."""
    for source in job.sources:
        if source.role != "checkpoint" or source.kind != "local_path" or not Path(source.uri).is_dir():
            continue  # what is not here is checked where the job runs
        try:
            files = container.find_files(Path(source.uri))
            if job["agent_config"]:
                files = files._replace(agent=Path(job["agent_config"]))
            problems = list(container.find_file_problems(files, job["sha256"]))
            if not problems and (name := _find_foreign_class(files.weights)):
                problems = [make_finding(f"{files.weights} cannot be read as weights: it holds a {name}")]
            if not problems:
                texts = {str(argument) for name, argument in _scan(files.weights) if name in STRINGS}
                guessed = "rsl_rl" if texts & RSL_RL_KEYS else "skrl" if texts >= SKRL_KEYS else ""
                found = {"backend": guessed or job["backend"]}
                problems = list(container.find_content_problems(files, found, job["backend"]))
        except OSError as error:
            problems = [get_finding(error)]
        for one in map(make_finding, problems):
            title = redact(one.title, max_length=500)
            yield make_problem("checkpoint-not-exportable", *one.ways, given=source.uri, title=title)


def _find_foreign_class(file: Path) -> str:
    """Return a class that the file names and weights have not, such as `pathlib.Path`; empty for none.

    The file is only scanned, never loaded; PyTorch itself judges where the job runs.
    """
    texts: list[str] = []
    for name, argument in _scan(file):
        if name in STRINGS:
            texts.append(str(argument))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, _, own = str(argument).partition(" ") if name == "GLOBAL" else (*texts[-2:-1], "", *texts[-1:])
            if not KNOWN_MODULES.fullmatch(module):
                return f"{module}.{own}"
    return ""


def _scan(file: Path) -> Iterator[tuple[str, object]]:
    """Yield the operations of a file of PyTorch, by name with their argument. Raise OSError with a sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            inside = next((name for name in archive.namelist() if name.endswith("/data.pkl")), "")
            content = archive.read(inside) if inside else b""
    except zipfile.BadZipFile:
        content = file.read_bytes()
        if not content.startswith(b"\x80"):  # the first byte of a pickle
            content = b""
    if not content:
        raise OSError(f"{file} is not a file of PyTorch")
    try:
        yield from ((operation.name, argument) for operation, argument, _ in pickletools.genops(content))
    except (ValueError, IndexError):
        if content[:1] != b"\x80" or zipfile.is_zipfile(file):
            raise OSError(f"{file} is not a file of PyTorch: it is damaged") from None
