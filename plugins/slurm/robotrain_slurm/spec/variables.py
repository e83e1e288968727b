"""The environment variables that sbatch reads as options, such as `SBATCH_HINT`. robotrain has them as settings, so
that the plan is what runs, and starts sbatch without them.
"""

import json
import os
import re
from collections.abc import Iterator

from robotrain_runtime.contract.parameter import get_parameters

from robotrain_slurm.settings import SlurmSettings

PREFIX = "SBATCH_"
HINT_VARIABLE = "SLURM_HINT"
"""The only other one that sbatch, and not only srun, reads as an option of the job."""
_UNRELATED = re.compile(r"SBATCH_(?:DEBUG|IGNORE_PBS|MEM_BIND_\w+)")
"""What sbatch prints, what it does not look for, and what it tells jobs: these are no options of a job."""
_OTHER_NAMES = {
    "ARRAY_INX": "array",
    "BURST_BUFFER": "bb",
    "CPU_FREQ_REQ": "cpu-freq",
    "REQ_SWITCH": "switches",
    "SEGMENT_SIZE": "segment",
}
_SAME_NAMES = (
    "ACCTG_FREQ BATCH CLUSTERS CLUSTER_CONSTRAINT CONTAINER CORE_SPEC CPUS_PER_GPU DELAY_BOOT DISTRIBUTION ERROR "
    "EXCLUSIVE EXPORT GET_USER_ENV GPUS GPUS_PER_NODE GPUS_PER_SOCKET GPUS_PER_TASK GPU_BIND GPU_FREQ GRES GRES_FLAGS "
    "HINT INPUT JOB_NAME MEM_BIND MEM_PER_CPU MEM_PER_GPU NETWORK NO_KILL NO_REQUEUE OPEN_MODE OUTPUT OVERCOMMIT POWER "
    "PREFER PROFILE REQUEUE RESERVATION SIGNAL SPREAD_JOB THREADS_PER_CORE THREAD_SPEC TRES_BIND TRES_PER_TASK "
    "USE_MIN_NODES WAIT WAIT_ALL_NODES WCKEY"
)
"""Variables that have the name of their option."""
_GPU_VARIABLES = ("SBATCH_GPUS_PER_NODE", "SBATCH_GPUS", "SBATCH_GPUS_PER_TASK", "SBATCH_GRES")
_GPU_REQUEST = r"(?:(?P<type>[A-Za-z][\w.-]*):)?(?P<count>\d{1,4})"


def get_option_name(variable: str) -> str:
    """Return the long name of the option of sbatch that a variable stands for; empty if it is not known."""
    if variable == HINT_VARIABLE:
        return "hint"
    name = variable.removeprefix(PREFIX)
    return _OTHER_NAMES.get(name, "") or (name.lower().replace("_", "-") if name in _SAME_NAMES.split() else "")


def is_variable(name: str) -> bool:
    """Return whether a name of `--sbatch` is that of a variable, not of an option."""
    return name.startswith(PREFIX) or name == HINT_VARIABLE


def find_options() -> tuple[str, str] | None:
    """Return the variables that are no settings of their own, as `--sbatch` has them, and where they are from."""
    setting_variables = {variable for parameter in get_parameters(SlurmSettings) for variable in parameter.env}
    options = {
        name: variable_value
        for name, variable_value in sorted(os.environ.items())
        if is_variable(name) and name not in setting_variables
    }
    options = {name: variable_value for name, variable_value in options.items() if not _UNRELATED.fullmatch(name)}
    for name in _GPU_VARIABLES:
        if name in options:
            gpus, other_resources = split_gpu_request(name, options[name])
            options |= {name: other_resources} if other_resources or not gpus else {}
            if gpus and not other_resources:
                del options[name]
    return (json.dumps(options), ", ".join(options)) if options else None


def find_gpus() -> tuple[str, str] | None:
    """Return the number of GPUs that a variable asks for, and its name."""
    return next(((match["count"], name) for name, match in _find_gpu_requests()), None)


def find_gpu_type() -> tuple[str, str] | None:
    """Return the type of GPU that a variable asks for, and its name."""
    return next(((match["type"], name) for name, match in _find_gpu_requests() if match["type"]), None)


def _find_gpu_requests() -> Iterator[tuple[str, re.Match[str]]]:
    for name in _GPU_VARIABLES:
        if (variable_value := os.environ.get(name)) and (match := split_gpu_request(name, variable_value)[0]):
            yield name, match


def split_gpu_request(name: str, variable_value: str) -> tuple[re.Match[str] | None, str]:
    """Return the GPUs of a variable's value, as groups `type` and `count`, and the other resources in it."""
    if name != "SBATCH_GRES":
        return re.fullmatch(_GPU_REQUEST, variable_value, re.ASCII), ""
    parts = variable_value.split(",")
    matches = [re.fullmatch(rf"(?:gres[:/])?gpu:{_GPU_REQUEST}", part, re.ASCII) for part in parts]
    other_resources = ",".join(part for part, match in zip(parts, matches, strict=True) if not match)
    return next(filter(None, matches), None), other_resources
