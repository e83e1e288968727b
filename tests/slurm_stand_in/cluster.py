"""The cluster of the stand-in: what it has, which jobs it refuses, and how its jobs and nodes are printed."""

import datetime
import os
import re

CLUSTER = {
    "name": "lab",
    "version": "22.05.8",
    "parsable_with_cluster": False,
    "accounting": False,
    "accounts": [],
    "qos": [],
    "away": False,
    "ends_on_term": True,
    "enforces_limits": False,
    "refusal": "Invalid partition name specified",
    "first_job": 1,
    "array_size": 1001,
    "partitions": {
        "batch": {"nodes": ["n1", "n2"], "minutes": None, "default": True, "state": "up"},
        "short": {"nodes": ["n1", "n2"], "minutes": 2, "default": False, "state": "up"},
    },
    "nodes": {
        "n1": {"cpus": 2, "memory": 10000, "features": "", "gres": "", "state": "idle"},
        "n2": {"cpus": 2, "memory": 10000, "features": "", "gres": "", "state": "idle"},
    },
}
"""Two nodes, as in the lab. `accounts` and `qos` are enforced where there are any."""
ENDED_STATES = (
    *("COMPLETED", "FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "CANCELLED"),
    *("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"),
)
FAILED = "Batch job submission failed: "
NO_NODE = "Requested node configuration is not available"
OUT_OF_SERVICE = ("down", "drain", "fail", "inval", "future")


class Unfit(Exception):
    """sbatch refuses the options. `recorded`: the job is in the queue as FAILED all the same."""

    def __init__(self, text: str, code: int = 1, recorded: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.recorded = recorded


def check_options(options: dict, cluster: dict) -> None:
    """Raise Unfit as sbatch 22.05 refuses a job: what the command finds itself, then the controller.

    With `--test-only`, nodes out of service do not count.
    """
    forms = {
        "time": r"\d+|\d+(:\d\d){1,2}|\d+-\d+(:\d\d){0,2}|infinite|unlimited",
        "time-min": r"\d+|\d+(:\d\d){1,2}|\d+-\d+(:\d\d){0,2}",
        "mem": r"\d+(\.\d+)?[kKmMgGtT]?[bB]?",
        "signal": r"([RB]{1,2}:)?(SIG)?(HUP|INT|QUIT|ABRT|KILL|ALRM|TERM|USR[12]|URG|CONT|STOP|XCPU|\d+)(@\d+)?",
    }
    for name, form in forms.items():
        if name in options and not re.fullmatch(form, options[name]):
            raise Unfit(f"Invalid --{name} specification", 255)
    if options.get("kill-on-invalid-dep", "yes") not in ("yes", "no"):
        raise Unfit("Invalid --kill-on-invalid-dep specification", 255)
    if options.get("open-mode", "append")[0] not in "atAT":
        raise Unfit("Invalid --open-mode specification", 255)
    names = (options.get("partition") or find_default(cluster)).split(",")
    if unknown := [name for name in names if name not in cluster["partitions"]]:
        raise Unfit(f"invalid partition specified: {unknown[0]}\n{FAILED}Invalid partition name specified")
    partitions = [cluster["partitions"][name] for name in names]
    check_names(options, cluster, partitions)
    for partition in partitions:
        nodes = [cluster["nodes"][node] for node in partition["nodes"]]
        try:
            check_resources(options, nodes)
            break
        except Unfit:
            if partition is partitions[-1]:
                raise
    minutes = parse_minutes(options.get("time", ""))
    limits = [partition["minutes"] for partition in partitions if partition["minutes"] is not None]
    if cluster["enforces_limits"] and minutes and len(limits) == len(partitions) and minutes > max(limits):
        raise Unfit(f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)")


def check_names(options: dict, cluster: dict, partitions: list[dict]) -> None:
    """Raise Unfit for names that the cluster does not have."""
    for name, text in (("account", "Invalid account or account/partition combination specified"),
                       ("qos", "Invalid qos specification")):  # fmt: skip
        names = cluster[f"{name}s" if name == "account" else name]
        if names and name in options and options[name] not in names:
            raise Unfit(f"{FAILED}{text}")
    for partition in partitions:
        if partition["state"] == "inact":
            raise Unfit(f"{FAILED}Required partition not available (inactive or drain)")
    known_features = {feature for node in cluster["nodes"].values() for feature in node["features"].split(",")}
    wanted = re.findall(r"[\w.-]+", re.sub(r"\*\d+", "", options.get("constraint", "")))
    if any(feature not in known_features for feature in wanted):
        raise Unfit(f"{FAILED}Invalid feature specification")
    named = [node for key in ("nodelist", "exclude") for node in (options.get(key) or "").split(",") if node]
    if any(node not in cluster["nodes"] for node in named):
        raise Unfit(f"{FAILED}Invalid node name specified")
    dependency = r"(singleton|(after|afterany|afterok|afternotok|aftercorr)(:\d+(_\d+|_\*)?(\+\d+)?)+)"
    if not re.fullmatch(f"{dependency}([,?]{dependency})*", options.get("dependency", "singleton")):
        raise Unfit(f"{FAILED}Job dependency problem")
    if "array" in options and parse_array(options["array"])[-1] >= cluster["array_size"]:
        raise Unfit(f"{FAILED}Invalid job array specification")


def check_resources(options: dict, nodes: list[dict]) -> None:
    """Raise Unfit where the nodes of a partition do not have what is asked for."""
    if "test-only" in options:
        nodes = [node for node in nodes if not node["state"].startswith(OUT_OF_SERVICE)]
    gres = options.get("gres") or ""
    gpus = options.get("gpus") or options.get("gpus-per-node") or ""
    wanted = gres.removeprefix("gpu:") if gres else gpus
    if wanted and wanted != "0":
        kind, _, count = wanted.rpartition(":")
        have = [re.match(r"gpu:(?:([^:]+):)?(\d+)", node["gres"]) for node in nodes]
        if not any(have):
            raise Unfit("Invalid generic resource (gres) specification")
        fit = [match for match in have if match and (not kind or match[1] == kind) and int(match[2]) >= int(count)]
        if not fit:
            raise Unfit(f"{FAILED}{NO_NODE}", recorded=True)
    if "mem" in options and not any(parse_megabytes(options["mem"]) <= node["memory"] for node in nodes):
        text = "Memory specification can not be satisfied"
        raise Unfit(f"{text}\n{FAILED}{NO_NODE}" if "test-only" not in options else f"{FAILED}{NO_NODE}", recorded=True)
    fitting = [node for node in nodes if int(options.get("cpus-per-task") or 1) <= node["cpus"]]
    if "test-only" in options and len(fitting) < int(options.get("nodes") or 1):  # else the job waits
        raise Unfit(f"{FAILED}{NO_NODE}", recorded=True)


def format_limits(cluster: dict) -> list[str]:
    """Return a line for each partition, with a few of the fields that `scontrol --oneliner show partition` prints."""
    lines = []
    for name, partition in cluster["partitions"].items():
        limit = partition.get("max_memory", "UNLIMITED")
        lines.append(f"PartitionName={name} State={partition['state'].upper()} MaxMemPerNode={limit} TRES=cpu=4")
    return lines


def format_forecast(options: dict, cluster: dict, number: int) -> str:
    """Return what `sbatch --test-only` prints of a job that would be taken. Slurm counts it, too."""
    partition = (options.get("partition") or find_default(cluster)).partition(",")[0]
    count = int(options.get("nodes") or 1)
    cores = count * int(options.get("cpus-per-task") or 1)
    nodes = ",".join(cluster["partitions"][partition]["nodes"][:count])
    start = datetime.datetime.now().isoformat(timespec="seconds")
    return (
        f"sbatch: Job {number} to start at {start} using {cores} processors on nodes {nodes} in partition {partition}"
    )


def parse_array(text: str) -> list[int]:
    """Return the indices of `0-3%2` or `1,4`. Raise Unfit."""
    indices = text.partition("%")[0]
    if not re.fullmatch(r"\d+(-\d+)?(:\d+)?(,\d+(-\d+)?)*(%\d+)?", text):
        raise Unfit(f"{FAILED}Invalid job array specification")
    numbers: list[int] = []
    for part in indices.split(","):
        first, _, last = part.partition("-")
        last, _, step = last.partition(":")
        numbers += range(int(first), int(last or first) + 1, int(step or 1))
    return numbers


def parse_minutes(text: str) -> float | None:
    """Return a time limit in minutes; None for none."""
    if not text or text.lower() in ("infinite", "unlimited"):
        return None
    days, _, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if days:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return int(days) * 1440 + hours * 60 + minutes + seconds / 60
    if len(parts) == 1:
        return parts[0]
    return parts[0] + parts[1] / 60 if len(parts) == 2 else parts[0] * 60 + parts[1] + parts[2] / 60


def parse_megabytes(text: str) -> float:
    """Return a size of memory, whose unit is megabytes unless it has one."""
    number, unit = re.fullmatch(r"([\d.]+)([kmgt]?)b?", text.lower()).groups()
    return float(number) * {"k": 1 / 1024, "": 1, "m": 1, "g": 1024, "t": 1024**2}[unit]


def find_default(cluster: dict) -> str:
    """Return the default partition; empty for none."""
    return next((name for name, partition in cluster["partitions"].items() if partition["default"]), "")


def is_ended(state: str) -> bool:
    """Return whether a job in this state has ended."""
    return state.partition(" ")[0] in ENDED_STATES


def get_user_name() -> str:
    """Return the name of the user, as Slurm prints it."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def format_time(seconds: float | None, empty: str = "N/A") -> str:
    """Return a time as SLURM_TIME_FORMAT wants it."""
    if seconds is None:
        return empty
    if os.environ.get("SLURM_TIME_FORMAT") == "%s":
        return str(int(seconds))
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%dT%H:%M:%S")


def format_jobs(jobs: list[dict], pattern: str, each_element: bool) -> list[str]:
    """Return a line for each job, as `squeue --format` prints it; an array that waits has one, unless asked."""
    lines = []
    waiting: set[str] = set()
    for job in jobs:
        if job["task"] is not None and job["state"] == "PENDING" and not each_element:
            if job["array"] in waiting:
                continue
            waiting.add(job["array"])
            left = [other["task"] for other in jobs if other["array"] == job["array"] and other["state"] == "PENDING"]
            _, sign, limit = job["options"]["array"].partition("%")
            tasks = f"{join_ranges(left)}{sign}{limit}"
            job = {**job, "task": tasks, "id": f"{job['array']}_[{tasks}]"}
        lines.append(fill(pattern, lambda letter, job=job: get_job_value(job, letter)))
    return lines


def join_ranges(numbers: list[int]) -> str:
    """Return numbers in order as `1-3,5`."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in zip(starts, ends, strict=True)
    )


def fill(pattern: str, get_value) -> str:
    """Return a format string of squeue or sinfo with its values, cut to the widths that it names."""

    def replace(match: re.Match) -> str:
        width = int(match[2] or 0)
        value = str(get_value(match[3]))
        return value[:width].rjust(width) if match[1] and width else value[:width].ljust(width) if width else value

    return re.sub(r"%(\.?)(\d*)([a-zA-Z])", replace, pattern)


def get_job_value(job: dict, letter: str) -> object:
    """Return a value of a job by squeue's letter; its words for none differ."""
    options = job["options"]
    values = {
        **{"i": job["id"], "A": job["number"], "F": job["array"], "K": "N/A" if job["task"] is None else job["task"]},
        **{"T": job["state"].partition(" ")[0], "r": job["reason"], "j": job["name"], "k": job["comment"] or "(null)"},
        **{"S": format_time(job["start"]), "e": format_time(job["end"]), "V": format_time(job["submit"])},
        **{"N": job["nodes"], "E": job.get("dependency") or "(null)", "o": job["script"], "P": job["partition"]},
        **{"a": options.get("account") or "(null)", "q": options.get("qos") or "(null)", "U": job["user"]},
        **{"u": get_user_name(), "l": options.get("time") or "UNLIMITED", "Z": job["folder"], "D": 1},
        **{"R": job["nodes"] or f"({job['reason']})", "b": options.get("gres") or "N/A", "B": job["nodes"] or "n/a"},
    }
    return values[letter]


def format_accounting(job: dict, fields: str) -> str:
    """Return a line as `sacct --parsable2` prints it."""
    options = job["options"]
    values = {
        **{"jobid": job["id"], "jobidraw": job["number"], "jobname": job["name"], "state": job["state"]},
        **{"exitcode": f"{job['exit_code']}:0", "start": format_time(job["start"], "Unknown")},
        **{"end": format_time(job["end"], "Unknown"), "submit": format_time(job["submit"], "Unknown")},
        **{"nodelist": job["nodes"] or "None assigned", "comment": job["comment"], "reason": job["reason"]},
        **{"partition": job["partition"], "account": options.get("account") or "", "user": get_user_name()},
        **{"qos": options.get("qos") or "normal", "workdir": job["folder"], "uid": job["user"]},
        **{"timelimit": options.get("time") or "UNLIMITED", "derivedexitcode": "0:0"},
    }
    return "|".join(str(values[re.sub(r"%-?\d+$", "", field).lower()]) for field in fields.split(","))


def format_nodes(cluster: dict, options: dict) -> list[str]:
    """Return a line for each group of nodes of a partition with the same values, as `sinfo --format` prints it."""
    pattern, lines = options.get("format") or "%P|%a|%l|%D|%T|%N", {}
    wanted = options["partition"].split(",") if options.get("partition") else [*cluster["partitions"]]
    for name, partition in cluster["partitions"].items():
        for node in partition["nodes"] or [""]:
            if name in wanted:
                values = get_node_values(name, partition, node, cluster)
                key = fill(pattern, lambda letter, values=values: "" if letter in "NnDC" else values[letter])
                lines.setdefault((key, name, node if "Node" in options else ""), []).append(values)
    return [fill(pattern, lambda letter, group=group: join_values(group, letter)) for group in lines.values()]


def get_node_values(name: str, partition: dict, node: str, cluster: dict) -> dict[str, object]:
    """Return the values of a node in a partition by sinfo's letters."""
    minutes = partition["minutes"]
    limit = "infinite" if minutes is None else f"{minutes // 1440}-" * (minutes >= 1440) + format_minutes(minutes)
    own = cluster["nodes"].get(node, {"cpus": 0, "memory": 0, "features": "", "gres": "", "state": "n/a"})
    return {
        **{"P": f"{name}{'*' * partition['default']}", "R": name, "a": partition["state"], "l": limit, "L": limit},
        **{"D": 1 if node else 0, "N": node, "n": node, "c": own["cpus"], "m": own["memory"], "T": own["state"]},
        **{"f": own["features"] or "(null)", "b": own["features"] or "(null)", "G": own["gres"] or "(null)"},
        **{"E": own.get("reason", "none"), "t": own["state"], "C": f"0/{own['cpus']}/0/{own['cpus']}"},
        **{"g": partition.get("groups", "all"), "s": "1-infinite", "e": own["memory"]},
    }


def format_minutes(minutes: int) -> str:
    """Return a limit as sinfo prints it: `2:00`, `1:30:00`."""
    hours, rest = divmod(minutes % 1440, 60)
    return f"{hours:02}:{rest:02}:00" if minutes >= 1440 else f"{hours}:{rest:02}:00" if hours else f"{rest}:00"


def join_values(group: list[dict], letter: str) -> object:
    """Return a value of nodes that are printed together."""
    if letter in "Nn":
        return ",".join(node[letter] for node in group)
    return sum(node["D"] for node in group) if letter == "D" else group[0][letter]
