"""The commands of the stand-in: `main` gets its folder, and the words of a call."""

import json
import os
import re
import sys
import time
from pathlib import Path

from slurm_stand_in import cluster
from slurm_stand_in.options import UsageError, parse_words, read_script_words

ENVIRONMENT = {
    **{"SBATCH_PARTITION": "partition", "SBATCH_ACCOUNT": "account", "SBATCH_QOS": "qos", "SBATCH_EXPORT": "export"},
    **{"SBATCH_TIMELIMIT": "time", "SBATCH_CONSTRAINT": "constraint", "SBATCH_JOB_NAME": "job-name"},
    **{"SBATCH_GPUS": "gpus", "SBATCH_GRES": "gres", "SBATCH_MEM_PER_NODE": "mem", "SBATCH_EXCLUSIVE": "exclusive"},
    **{"SBATCH_REQUEUE": "requeue", "SBATCH_NO_REQUEUE": "no-requeue", "SBATCH_ARRAY_INX": "array"},
}
"""Variables that count before the lines of the script."""
AWAY = "Unable to contact slurm controller (connect failure)"
LOST = "Socket timed out on send/recv operation"
SUBMISSION = "Batch job submission failed: "
NO_SHEBANG = """\
sbatch: error: This does not look like a batch script.  The first
sbatch: error: line must start with #! followed by the path to an interpreter.
sbatch: error: For instance: #!/bin/sh"""
DOS_LINES = """\
sbatch: error: Batch script contains DOS line breaks (\\r\\n)
sbatch: error: instead of expected UNIX line breaks (\\n)."""


class Failure(Exception):
    """The command ends with this text and exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Engine:
    """The folder of the stand-in: the cluster, and a file for each job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = json.loads((folder / "cluster.json").read_text())

    def read_jobs(self, forgotten: bool = False) -> list[dict]:
        """Return the jobs. `forgotten`: those too that only the accounting has."""
        files = sorted(self.folder.glob("jobs/*.json"), key=lambda file: int(file.stem))
        jobs = [json.loads(file.read_text()) for file in files]
        return [job for job in jobs if forgotten or not job.get("forgotten")]

    def find_jobs(self, ids: str, forgotten: bool = False) -> list[dict]:
        """Return the jobs of a list of ids, an array with its elements."""
        wanted = ids.split(",")
        return [job for job in self.read_jobs(forgotten) if {job["id"], job["number"], job["array"]} & {*wanted}]

    def write(self, job: dict) -> None:
        file = self.folder / "jobs" / f"{job['number']}.json"
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(job))
        temporary.rename(file)

    def take_number(self) -> str:
        """Return the number of a new job, which is this process's."""
        taken = [int(file.stem) for file in self.folder.glob("jobs/*.json")]
        number = max([self.cluster["first_job"] - 1, *taken]) + 1
        while True:
            try:
                os.close(os.open(self.folder / "jobs" / f"{number}.taken", os.O_CREAT | os.O_EXCL))
                return str(number)
            except FileExistsError:
                number += 1

    def take_mood(self) -> str:
        """Return how this sbatch goes; the next one goes well again."""
        file = self.folder / "mood"
        mood = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return mood


def run_sbatch(engine: Engine, words: list[str]) -> str:
    """Record a job, which waits. Print its number."""
    options, rest = parse_words("sbatch", words)
    script = Path(os.path.abspath(rest[0])) if rest else None
    text = f"#!/bin/sh\n{options['wrap']}\n" if "wrap" in options else read_script(script, rest)
    in_script, unknown = parse_words("sbatch", read_script_words(text))
    if unknown:
        raise Failure(f"sbatch: error: Invalid directive found in batch script: {unknown[0]}", 255)
    environment = {name: os.environ[variable] for variable, name in ENVIRONMENT.items() if variable in os.environ}
    options = in_script | environment | options
    is_test = "test-only" in options
    mood = "" if is_test else engine.take_mood()
    if mood == "refuses":
        raise Failure(f"sbatch: error: {SUBMISSION}{engine.cluster['refusal']}")
    if mood == "times out early":
        raise Failure(f"sbatch: error: {SUBMISSION}{LOST}")
    try:
        cluster.check_options(options, engine.cluster)
    except cluster.Unfit as unfit:
        if unfit.recorded and not is_test:
            make_jobs(engine, options, script, state="FAILED", reason="BadConstraints")
        text = "\n".join(f"sbatch: error: {line}" for line in str(unfit).splitlines())
        if is_test:
            text = text.replace(f"sbatch: error: {SUBMISSION}", "allocation failure: ")
        raise Failure(text, unfit.code) from None
    if is_test:
        print(
            cluster.format_forecast(options, engine.cluster, len(engine.read_jobs(forgotten=True)) + 1), file=sys.stderr
        )
        return ""
    if mood == "records and refuses":
        make_jobs(engine, options, script, state="FAILED", reason="BadConstraints")
        raise Failure(f"sbatch: error: {SUBMISSION}Requested node configuration is not available")
    number = make_jobs(engine, options, script)
    if mood == "times out":
        raise Failure(f"sbatch: error: {SUBMISSION}{LOST}")
    if mood == "hangs":
        time.sleep(60)
    suffix = f";{engine.cluster['name']}" if engine.cluster["parsable_with_cluster"] or "clusters" in options else ""
    return f"{number}{suffix}" if "parsable" in options else f"Submitted batch job {number}"


def read_script(script: Path | None, rest: list[str]) -> str:
    """Return the text of a batch script. Raise Failure as sbatch refuses it."""
    if script is None:
        text = sys.stdin.read()
    elif not script.is_file():
        raise Failure(f"sbatch: error: Unable to open file {rest[0]}")
    else:
        text = script.read_bytes().decode()
    if not text:
        raise Failure("sbatch: error: Batch script is empty!")
    if not text.startswith("#!"):
        raise Failure(NO_SHEBANG)
    if "\r\n" in text:
        raise Failure(DOS_LINES)
    return text


def make_jobs(engine: Engine, options: dict, script: Path | None, state: str = "PENDING", reason: str = "None") -> str:
    """Record a job, or each element of an array; return the number that sbatch prints."""
    tasks = cluster.parse_array(options["array"]) if "array" in options else [None]
    array = engine.take_number()
    folder = options.get("chdir") or os.getcwd()
    waits = "hold" in options
    for task in tasks:
        number = array if task == tasks[0] else engine.take_number()
        job = {
            "id": array if task is None else f"{array}_{task}",
            "number": number,
            "array": array,
            "task": task,
            "name": options.get("job-name") or (script.name if script else "wrap"),
            "comment": options.get("comment", ""),
            "state": state,
            "reason": "JobHeldUser" if waits else reason,
            "options": options,
            "partition": options.get("partition") or cluster.find_default(engine.cluster),
            "folder": folder,
            "script": str(script or ""),
            "user": os.getuid(),
            "submit": time.time(),
            "start": None,
            "end": time.time() if state == "FAILED" else None,
            "nodes": "",
            "exit_code": 0,
            "restarts": 0,
            "signals": [],
        }
        if "dependency" in options:
            job |= find_dependency(engine, options)
        engine.write(job)
    return array


def find_dependency(engine: Engine, options: dict) -> dict:
    """Return what a job waits for, and why. A job that Slurm does not know, or no longer, is not waited for."""
    parts, reason = [], "None"
    for part in options["dependency"].split(","):
        kind, _, ids = part.partition(":")
        for job in engine.find_jobs(ids.partition("+")[0].replace(":", ",")):
            state = job["state"].partition(" ")[0]
            if not cluster.is_ended(state):
                parts.append(f"{kind}:{job['id']}(unfulfilled)")
                reason = "Dependency" if reason == "None" else reason
            elif kind in ("afterok", "aftercorr") and state != "COMPLETED":
                parts.append(f"{kind}:{job['id']}(failed)")
                reason = "DependencyNeverSatisfied"
    ends = reason == "DependencyNeverSatisfied" and options.get("kill-on-invalid-dep") == "yes"
    ended = {"state": "CANCELLED", "end": time.time()} if ends else {}
    return {"dependency": ",".join(parts), "reason": reason} | ended if parts else {}


def run_squeue(engine: Engine, words: list[str]) -> str:
    """Print the jobs that the options choose."""
    options, rest = parse_words("squeue", words)
    if rest:
        raise UsageError(f"squeue: error: Unrecognized option: {rest[0]}")
    jobs = select_jobs(engine, options)
    ids = options.get("jobs")
    if ids and "," not in ids and not engine.find_jobs(ids):
        raise Failure("slurm_load_jobs error: Invalid job id specified")
    wanted = (options.get("states") or "PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING").upper().split(",")
    jobs = [job for job in jobs if "ALL" in wanted or job["state"].partition(" ")[0] in wanted]
    lines = cluster.format_jobs(jobs, options.get("format") or "%i|%P|%j|%u|%T", "array" in options)
    return "\n".join(lines if "noheader" in options else ["HEADER", *lines])


def select_jobs(engine: Engine, options: dict, forgotten: bool = False) -> list[dict]:
    """Return the jobs of these ids, names and users."""
    jobs = engine.find_jobs(options["jobs"], forgotten) if options.get("jobs") else engine.read_jobs(forgotten)
    if names := options.get("name"):
        jobs = [job for job in jobs if job["name"] in names.split(",")]
    user = str(os.getuid()) if "me" in options else options.get("user") or options.get("uid")
    return [job for job in jobs if not user or str(job["user"]) in user.split(",") or user == cluster.get_user_name()]


def run_sacct(engine: Engine, words: list[str]) -> str:
    """Print jobs from the accounting database, which forgets none."""
    options, rest = parse_words("sacct", words)
    if rest:
        raise UsageError(f"sacct: error: Unknown arguments: {rest[0]}")
    if not engine.cluster["accounting"]:
        raise Failure("Slurm accounting storage is disabled")
    if engine.cluster["accounting"] == "away":
        raise Failure("sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to "
                      "host:localhost:6819: Connection refused\nsacct: error: Problem talking to the database: "
                      "Connection refused")  # fmt: skip
    if "allocations" not in options:
        raise Failure("this stand-in records no steps: use --allocations", 99)
    lines = [cluster.format_accounting(job, options["format"]) for job in select_jobs(engine, options, forgotten=True)]
    return "\n".join(lines if "noheader" in options else [options["format"].replace(",", "|"), *lines])


def run_scancel(engine: Engine, words: list[str]) -> str:
    """End jobs, or send them a signal: TERM to the batch script ends one that runs."""
    options, ids = parse_words("scancel", words)
    chosen = engine.find_jobs(",".join(ids)) if ids else select_jobs(engine, options)
    states = (options.get("state") or "").upper().split(",") if options.get("state") else []
    signal = options.get("signal")
    if signal and not re.fullmatch(r"(SIG)?(TERM|KILL|INT|USR1|USR2|STOP|CONT|HUP|\d+)", signal):
        raise Failure(f"Unknown job signal: {signal}")
    for job in chosen:
        if cluster.is_ended(job["state"]) or (states and job["state"] not in states):
            continue
        if signal and job["state"] == "PENDING":
            continue
        if signal:
            job["signals"].append(signal)
        if signal in (None, "KILL") or (signal == "TERM" and engine.cluster["ends_on_term"]):
            job |= {"state": "CANCELLED", "reason": "None", "end": time.time()}
        engine.write(job)
    return ""


def run_scontrol(engine: Engine, words: list[str]) -> str:
    """Ping the controller; requeue, hold, release or show a job."""
    _options, rest = parse_words("scontrol", words)
    action, ids = rest[0] if rest else "", rest[-1]
    if action == "ping":
        return f"Slurmctld(primary) at {engine.cluster['name']} is UP"
    if rest == ["show", "config"]:
        return f"MaxArraySize            = {engine.cluster['array_size']}"
    if rest == ["show", "partition"]:
        return "\n".join(cluster.format_limits(engine.cluster))
    if action not in ("requeue", "hold", "release", "show") or (action == "show" and rest[1] != "job"):
        raise Failure(f"this stand-in does not know scontrol {' '.join(rest)}", 99)
    if not (jobs := engine.find_jobs(ids)):
        raise Failure("slurm_load_jobs error: Invalid job id specified" if action == "show"
                      else f"Invalid job id specified for job {ids}")  # fmt: skip
    if action == "show":
        return "\n".join(f"JobId={job['number']} JobName={job['name']} JobState={job['state']} "
                         f"Reason={job['reason']} Restarts={job['restarts']}" for job in jobs)  # fmt: skip
    for job in jobs:
        if action == "requeue":
            if "no-requeue" in job["options"] or job["state"] == "PENDING":
                reason = (
                    "Requested operation is presently disabled"
                    if job["state"] != "PENDING"
                    else "Job is pending execution"
                )
                raise Failure(f"{reason} for job {ids}")
            job |= {"state": "PENDING", "reason": "BeginTime", "restarts": job["restarts"] + 1, "end": None}
        elif job["state"] == "PENDING":
            job["reason"] = "JobHeldUser" if action == "hold" else "None"
        engine.write(job)
    return ""


def run_sinfo(engine: Engine, words: list[str]) -> str:
    """Print the partitions and their nodes."""
    options, rest = parse_words("sinfo", words)
    if rest:
        raise UsageError(f"sinfo: error: Unrecognized option: {rest[0]}")
    lines = cluster.format_nodes(engine.cluster, options)
    return "\n".join(lines if "noheader" in options else ["HEADER", *lines])


COMMANDS = {
    "sbatch": (run_sbatch, f"sbatch: error: {SUBMISSION}"),
    "squeue": (run_squeue, "slurm_load_jobs error: "),
    "sacct": (run_sacct, ""),
    "scancel": (run_scancel, "scancel: error: Kill job error on job id 1: "),
    "scontrol": (run_scontrol, "slurm_load_jobs error: "),
    "sinfo": (run_sinfo, "slurm_load_partitions: "),
}
"""Each, and how it begins to say that the controller is away; the database of sacct is another program."""


def main(folder: Path, call: list[str]) -> int:
    """Run a command, and write down that it was called."""
    engine, name, words = Engine(folder), call[0], call[1:]
    with (engine.folder / "calls").open("a") as calls:
        calls.write(json.dumps(call) + "\n")
    command, away = COMMANDS[name]
    try:
        if "--version" in words or "-V" in words:
            print(f"slurm {engine.cluster['version']}")
            return 0
        if away and engine.cluster["away"] and name == "scontrol" and words == ["ping"]:
            print(f"Slurmctld(primary) at {engine.cluster['name']} is DOWN")
            return 1
        if away and engine.cluster["away"]:
            raise Failure(f"{away}{AWAY}")
        if answer := command(engine, words):
            print(answer)
    except UsageError as error:
        print(f'{error}\nTry "{name} --help" for more information', file=sys.stderr)
        return 255 if name == "sbatch" else 1
    except Failure as failure:
        print(failure, file=sys.stderr)
        return failure.code
    return 0
