"""The options of sbatch for a job, as its batch script has them, with their defaults."""

import contextlib
import re
from collections.abc import Iterator, Mapping

from robotrain.cluster.checks import QuantityError
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.run_folder import scheduler_settings
from robotrain.run_folder.scheduler_settings import TIME_FORMS, fill_settings
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import variables

Option = tuple[str, str | None]
"""The long name of an option of sbatch without dashes, and its value; None for a flag."""

FLAGS = (
    *("contiguous", "exclusive", "hold", "ignore-pbs", "no-kill"),
    *("overcommit", "oversubscribe", "reboot", "spread-job", "use-min-nodes"),
)
"""Options of sbatch that `true` and `false`, as files write them, switch on and off."""
MEMORY_OPTIONS = ("mem-per-cpu", "mem-per-gpu")
"""Options of which one takes the place of `mem`: sbatch refuses both."""
CORES_OPTION = "cpus-per-gpu"
"""The option that takes the place of `cpus-per-task`."""
NO_MEMORY = "none"
"""The value of --memory for which the partition's own default counts."""


def list_options(job: Job, settings: SlurmSettings) -> Iterator[Option]:
    """Yield the options that the settings ask for, in their order. Raise QuantityError."""
    filled_settings = fill_settings(job, settings)
    other_options = collect_other_options(settings)
    for name in ("partition", "account", "qos", "constraint", "exclude"):
        if option_value := getattr(filled_settings, name):
            yield name, option_value
    yield "time", format_time(parse_time(filled_settings.time or ""))
    gpus = (
        ":".join(filter(None, ("gpu", filled_settings.gpu_type, str(filled_settings.gpus))))
        if filled_settings.gpus
        else ""
    )
    if resources := ",".join(filter(None, (gpus, other_options.pop("gres", None)))):
        yield "gres", resources
    if CORES_OPTION not in other_options:
        yield "cpus-per-task", str(filled_settings.cpus)
    if filled_settings.memory != NO_MEMORY and not any(name in other_options for name in MEMORY_OPTIONS):
        yield "mem", format_memory(parse_memory(filled_settings.memory or ""))
    yield from other_options.items()


def collect_other_options(settings: SlurmSettings) -> dict[str, str | None]:
    """Return the options of --sbatch by name, and below them those of variables that have an effect."""
    sbatch_options = load_pairs(settings.sbatch)
    options_by_name = {
        option: value
        for name, value in sbatch_options.items()
        if variables.is_variable(name) and (option := variables.get_option_name(name)) and option not in MANAGED
    }
    options_by_name |= {name: value for name, value in sbatch_options.items() if not variables.is_variable(name)}
    return {name: _read_value(name, value) for name, value in options_by_name.items() if not _is_off(name, value)}


def _read_value(name: str, text: str) -> str | None:
    is_on = name in FLAGS and re.fullmatch(r"(?i)true|yes|on|[1-9]\d*", text, re.ASCII)
    return None if is_on or not text else text


def _is_off(name: str, option_value: str) -> bool:
    return name in FLAGS and option_value.lower() in ("false", "no", "off", "0")


def format_option(option: Option) -> str:
    """Return the line of a batch script for an option, as sbatch reads it: it takes words, with quotes, backslashes
    and comments as in a shell, and expands nothing. The value has no control character.
    """
    name, option_value = option
    if option_value is None:
        return f"#SBATCH --{name}"
    if re.search(r"[\s\\'\"#]", option_value) or not option_value.isascii():
        option_value = '"' + re.sub(r'([\\"])', r"\\\1", option_value) + '"'
    return f"#SBATCH --{name}={option_value}"


_TIME_FORMS = (
    *TIME_FORMS,
    r"(\d{1,4})-(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?",
    r"()()(\d{1,8})()",
)
"""robotrain's forms, and Slurm's with days, or minutes alone."""
MINUTE, HOUR, DAY = 60, 3600, 86400
_TIME_WHY = "A time is a number with d, h, m or s, or as Slurm writes it: minutes, HOURS:MINUTES:SECONDS, DAYS-HOURS."


def parse_time(text: str) -> int | None:
    """Return the seconds of `4h`, `1d12h`, `90m`, or of Slurm's `90` (minutes), `90:00`, `4:00:00`, `1-12`, `1-12:30`;
    None for no limit (`0`, `UNLIMITED`). Raise QuantityError.
    """
    if re.fullmatch(r"(?i)0|unlimited|infinite", text):
        return None
    total = scheduler_settings.parse_time(text, _TIME_FORMS)
    if total is None:
        raise QuantityError(_TIME_WHY, "4h")
    if total < MINUTE:
        raise QuantityError("Slurm counts in minutes: it is at least one.", "1m")
    return total


def format_time(seconds: int | None) -> str:
    """Return a time limit as Slurm writes it: `0-04:00:00`."""
    if seconds is None:
        return "UNLIMITED"
    days, remaining_seconds = divmod(seconds, DAY)
    return (
        f"{days}-{remaining_seconds // HOUR:02}:{remaining_seconds % HOUR // MINUTE:02}:{remaining_seconds % MINUTE:02}"
    )


def parse_memory(text: str) -> int:
    """Return the MiB of `48G`, `48Gi`, `1.5T`, or of Slurm's `49152` (MiB); 0 for all memory of the node. Raise
    QuantityError.
    """
    size = scheduler_settings.parse_memory(text, unit="M")
    if size is None:
        lenient_match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt])i?b?\s*", text.lower(), re.ASCII)
        fix = f"{lenient_match[1]}{lenient_match[2].upper()}" if lenient_match else "48G"
        raise QuantityError("A size is a number with K, M, G or T; 0 is all memory of the node.", fix)
    if 0 < size < 1:
        raise QuantityError("Slurm counts in mebibytes: it is at least one.", "1M")
    return int(size)


def format_memory(size: int) -> str:
    """Return MiB as Slurm writes them: `48G`."""
    return scheduler_settings.format_memory(size) if size else "0"


MAX_STOP_SECONDS = 120


def choose_stop_seconds(job: Job, settings: SlurmSettings) -> int:
    """Return how long before the time limit Slurm sends its signal, in seconds. Raise QuantityError."""
    if settings.stop_seconds is not None:
        return settings.stop_seconds
    limit = parse_time(fill_settings(job, settings).time or "")
    return MAX_STOP_SECONDS if limit is None else min(MAX_STOP_SECONDS, limit // 3)


def derive_defaults(job: Job, settings: SlurmSettings) -> Mapping[str, PlatformDefault]:
    """Return the settings' defaults for a job, by name; the caller ignores those that are set."""
    defaults = scheduler_settings.derive_defaults(job)
    with contextlib.suppress(QuantityError):  # `check` reports it
        seconds = choose_stop_seconds(job, settings)
        defaults["stop_seconds"] = PlatformDefault(str(seconds), "at most a third of the time limit")
    return defaults


MANAGED = (
    *("account", "array", "chdir", "cluster", "clusters", "comment", "constraint", "container", "container-id"),
    *("container-image", "container-mounts", "container-name", "cpus-per-task", "dependency", "error", "exclude"),
    *("export", "export-file", "get-user-env", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "help"),
    *("input", "job-name", "kill-on-invalid-dep", "mem", "no-requeue", "nodes", "ntasks", "ntasks-per-gpu"),
    *("ntasks-per-node", "open-mode", "output", "parsable", "partition", "qos", "quiet", "requeue", "signal", "tasks"),
    *("tasks-per-node", "test-only", "time", "usage", "verbose", "version", "wait", "workdir", "wrap"),
)
"""Their long names. Submits are found by `comment`, `job-name`, `array` and `requeue`."""


def find_managed(name: str) -> str:
    """Return the managed option that a name is, or is short for, as sbatch reads it; empty for none."""
    if name in MANAGED:
        return name
    return next((option for option in MANAGED if option.startswith(name)), "")
