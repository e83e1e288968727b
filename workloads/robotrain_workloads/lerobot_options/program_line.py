"""What stands before LeRobot's program in a line: variables, a launcher with its options, and a version of LeRobot."""

import os
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.parameters import PRECISION_VARIABLE
from robotrain_workloads.line_translation.launchers import VARIABLE_REASON, LaunchedLine, read_launchers

make_problem = Messages(__file__)

ACCOUNT_VARIABLES = ("HF_USER", "HOME", "USER")
"""Variables in a line in quotes that are replaced by their values; the shell replaces those in other lines."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
JOB_VARIABLE = re.compile(r"(?:SLURM|PBS|LSB)_\w+|TMPDIR")
"""Variables that a batch system sets in each job."""
WANDB_MODE_VARIABLE = "WANDB_MODE"
OLD_PROGRAM = re.compile(r"(?:.*[/.])?lerobot[/.]scripts[/.](?:train|eval)")
"""The programs of LeRobot before 0.4."""
OLD_PROGRAM_NOTE = "this is the program of a LeRobot before 0.4: the line means what LeRobot {} makes of it"
REQUIREMENT = re.compile(r"(?:.*=)?lerobot(?:\[[\w,-]+\])?\s*(===?|~=|!=|<=?|>=?|@)\s*(.+)")
"""What installs a version of LeRobot, such as `lerobot[smolvla]==0.6.0`."""
COMPUTING_VARIABLES = "ACCELERATE_.*|WORLD_SIZE|LOCAL_WORLD_SIZE|FSDP_.*|PARALLELISM_CONFIG_.*"
"""Variables that say what processes compute together, as options of `accelerate launch` do."""
COMPUTING_REASON = "robotrain starts the processes itself: --num-gpus, --num-nodes and --mixed-precision say how"
DATA_HOMES = {"HF_LEROBOT_HOME": "", "HF_HOME": "lerobot", "XDG_CACHE_HOME": "huggingface/lerobot"}
"""Variables that say where LeRobot looks for datasets, with the folder below; the first that is set counts."""
DATA_HOME_REASON = "LeRobot takes the dataset from there, if it is there: {}, in place of --dataset-repo-id {}"
SECRET_VARIABLE = re.compile(r"(?i)(?:TOKEN|KEY|SECRET|PASS|PASSWORD|PASSWD)\b")
VARIABLE_REASONS = {
    "WANDB_API_KEY": "a job on this machine reads it; elsewhere the option --secret gives it to the job",
    "HF_TOKEN|HUGGING_FACE_HUB_TOKEN": "the token of the Hub is read from this machine, or from --hub-token-file FILE",
    "WANDB_PROJECT": "--experiment-name NAME says it",
    "HF_HOME|HF_HUB_CACHE|HF_LEROBOT_HOME|HF_DATASETS_CACHE|TRANSFORMERS_CACHE|XDG_CACHE_HOME|TORCH_HOME": (
        "robotrain keeps what it fetches in a cache of its own: ROBOTRAIN_CACHE=FOLDER, on a cluster --cache-dir FOLDER"
    ),
    "OMP_NUM_THREADS|MKL_NUM_THREADS": "robotrain shares the cores of the machine out itself",
    SECRET_VARIABLE.pattern: "the option --secret gives a job a secret, on platforms that have it",
}
"""By expressions for the names of variables, what does in a job what they do."""
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
NO_GPU = ("", "-1", "none", "void", "NoDevFiles")
"""Values of `GPU_VARIABLES` that hide every GPU, so that LeRobot trains on the CPU."""


@dataclass
class ProgramLine(LaunchedLine):
    """What the words before the program say."""

    version: str = ""
    """The version of LeRobot that they install; empty if they do not say."""
    wandb_mode: str = ""
    """Where Weights & Biases logs; empty if they do not say."""


def expand_account_variables(word: str) -> str:
    """Replace variables of `ACCOUNT_VARIABLES` by their values; any other one stays, as it may be a secret."""

    def expand(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return os.environ.get(name, match[0]) if name in ACCOUNT_VARIABLES else match[0]

    return VARIABLE.sub(expand, word)


def list_variables(text: str) -> list[str]:
    """Return the names of the variables in a text, in their order."""
    return list(dict.fromkeys(match[1] or match[2] for match in VARIABLE.finditer(text)))


def replace_variable(text: str, name: str, value: str) -> str:
    """Return a text with the value of one variable."""
    return VARIABLE.sub(lambda match: value if name in (match[1], match[2]) else match[0], text)


def fill_unknown_variables(text: str) -> tuple[str, str]:
    """Return a text with a word in capitals for each variable, `/data/USER`, and what to replace; empty for nothing."""
    variable_names = list_variables(text)
    if not variable_names:
        return text, ""
    replacement_texts = (
        f"{variable_name.upper()} by the value of ${variable_name}" for variable_name in variable_names
    )
    filled_text = VARIABLE.sub(lambda match: (match[1] or match[2]).upper(), text)
    return filled_text, f"replace {' and '.join(replacement_texts)}, which this machine does not know"


def find_job_variable(text: str) -> str:
    """Return the name of a variable in a text that only a running batch job has; empty for none."""
    return next((name for name in list_variables(text) if JOB_VARIABLE.fullmatch(name)), "")


def find_program_word(line: Sequence[str], program_names: Collection[str]) -> tuple[int, str] | None:
    """Return where one of the `program_names` programs stands in a line, and its name; None if there is none."""
    for index, word in enumerate(line):
        path = _drop_suffix(word.removeprefix("!"))
        name = re.split(r"[/.\s]", path)[-1].replace("_", "-")
        if OLD_PROGRAM.fullmatch(path):
            name = f"lerobot-{name}"
        if name in program_names:
            return index, name
    return None


def find_program(line: Sequence[str], names: Collection[str]) -> tuple[int, str]:
    """Return where LeRobot's program stands in a line, and its name. Raise Rejected if there is none of the `names`."""
    if match := find_program_word(line, names):
        return match
    raise Rejected([make_problem("command-unknown")])


def _drop_suffix(word: str) -> str:
    return re.sub(r"(?:\.py)?\)?$", "", word)


def read_program_line(words: Sequence[str], word: str, program: Sequence[str]) -> ProgramLine:
    """Return what the words before the program say. Raise Rejected where another program is among them.

    :param word: that of the program.
    :param program: its name with its options.
    """
    program_line = read_launchers(words, ProgramLine(), ("robotrain", "from-lerobot", "--", *program))
    _read_version(words, program_line)
    if OLD_PROGRAM.fullmatch(_drop_suffix(word)):
        program_line.notes[word] = OLD_PROGRAM_NOTE.format(program_line.version or versions.get_version().name)
    for name, variable_value in program_line.variables.items():
        if name == PRECISION_VARIABLE:
            program_line.precision = variable_value
        elif name == WANDB_MODE_VARIABLE:
            program_line.wandb_mode = variable_value
        elif name in GPU_VARIABLES and variable_value in NO_GPU:
            program_line.flags.append((name, ("--device", "cpu")))
        elif re.fullmatch(COMPUTING_VARIABLES, name) and variable_value not in ("", "1", "0", "false", "no"):
            program_line.refused[name] = COMPUTING_REASON
        else:
            program_line.left_out[name] = _explain_variable(name)
    return program_line


def _explain_variable(name: str) -> str:
    for pattern, reason in VARIABLE_REASONS.items():
        if re.fullmatch(pattern, name) or (pattern == SECRET_VARIABLE.pattern and SECRET_VARIABLE.search(name)):
            return reason
    return VARIABLE_REASON


def _read_version(words: Iterable[str], program_line: ProgramLine) -> None:
    """Read which LeRobot the words install."""
    version_names = [version.name for version in versions.list_versions()]
    for word in words:
        if match := REQUIREMENT.fullmatch(word):
            operator, version_text = match[1], match[2].strip()
            if operator in ("==", "===") and version_text in version_names:
                program_line.version = version_text
            elif operator == ">=" and _parse_version(version_text) <= _parse_version(version_names[0]):
                program_line.version = version_names[0]
            else:
                runs_text = f"robotrain runs LeRobot {' or '.join(version_names)}"
                program_line.refused[word] = f"{runs_text}: name one, as in lerobot=={version_names[0]}"


def _parse_version(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]


def explain_data_home(program_line: ProgramLine, repository: str) -> dict[str, str]:
    """Return what to give in place of the variable that says where LeRobot looks for a dataset, by its name."""
    for variable, subfolder in DATA_HOMES.items():
        if folder := program_line.variables.get(variable):
            path, replacement_note = fill_unknown_variables(str(Path(folder, subfolder, repository)))
            words = ("--dataset-path", path, "--dataset-id", repository)
            reason = DATA_HOME_REASON.format(shlex.join(words), repository)
            return {variable: f"{reason} ({replacement_note})" if replacement_note else reason}
    return {}
