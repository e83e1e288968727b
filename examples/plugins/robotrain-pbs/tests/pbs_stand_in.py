"""A stand-in for OpenPBS: qsub, qstat, qsig, qdel, qrls, and the MoM that runs a job.

`python pbs_stand_in.py FOLDER COMMAND WORDS…`. Messages, exit codes and the form of `qstat -f` are those of OpenPBS 23;
so are the end of a job whose predecessor failed, signals to every process of the session of a job, and that the
job is what follows `--`, without a shell.
FOLDER has config.json, and a file for each job.
"""

import contextlib
import fcntl
import getopt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CONFIG = {
    "queues": {"workq": {"walltime": "24:00:00", "ncpus": 64}, "closed": {"enabled": "False"}, "private": {"acl": 1}},
    "default": "workq",
    "accounts": ["lab"],
    "nodes": {"ncpus": 64, "ngpus": 0},  # of the one node
    "history": True,
    "away": False,
    "runs": False,  # whether a MoM runs the jobs
    "kill_delay": 30,  # a queue may have more than 10: a busy machine needs them for a last checkpoint
    "mood": "",  # of the next qsub
}
RESOURCES = ("ncpus", "mem", "ngpus", "host", "vnode", "mpiprocs", "ompthreads", "gpu_model")
ERRORS = {
    "Unknown Job Id": 15001,
    "Undefined attribute": 15002,
    "Illegal attribute or resource value": 15014,
    "Request invalid for state of job": 15016,
    "Unknown queue": 15018,
    "Queue is not enabled": 15021,
    "Access to queue is denied": 15022,
    "Job violates queue and/or server resource limits": 15036,
    "Maximum number of jobs already in queue": 15046,
    "Invalid Account": 15049,
    'Resource invalid in "select" specification': 15108,
    "Job has finished": 15139,
}
SIZES = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


class Refused(Exception):
    def __init__(self, message, detail=""):
        super().__init__(f"{message}{detail}")
        self.code = ERRORS[message] % 256


class Server:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.config = CONFIG | json.loads((self.folder / "config.json").read_text())

    @contextlib.contextmanager
    def locked(self):
        with (self.folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def path(self, name):
        return self.folder / f"{name.partition('.')[0]}.job"

    def jobs(self):
        paths = sorted(self.folder.glob("*.job"), key=lambda path: [*map(int, re.findall(r"\d+", path.stem))])
        return [json.loads(path.read_text()) for path in paths]

    def read(self, name):
        if re.fullmatch(r"\d+(\[\d*\])?(\.pbs)?", name) and self.path(name).exists():
            return json.loads(self.path(name).read_text())
        raise Refused("Unknown Job Id", f" {name}")

    def write(self, job):
        part = self.folder / f".{os.getpid()}"
        part.write_text(json.dumps(job))
        part.rename(self.path(job["id"]))

    def change(self, name, **values):
        with self.locked():
            job = self.read(name)
            if values.get("job_state") == "F" and not self.config["history"]:
                self.path(name).unlink()
            else:
                self.write(job | values)
        if values.get("job_state") == "F":
            for other in self.jobs():
                if name in other.get("depend", ""):
                    self.settle(other, name, is_ok=str(values.get("Exit_status", "")) == "0")
        return job

    def settle(self, job, before, is_ok):
        """What becomes of a job when one that it waits for has ended."""
        if not is_ok:
            self.change(job["id"], job_state="F", substate="91", Exit_status="", depend="")
            return
        needs = [need for need in re.findall(r"(?<=:)[^:@]+", job["depend"]) if need != before]
        self.change(job["id"], depend=":".join(["afterok", *needs]) if needs else "")
        if not needs:
            self.start(self.change(job["id"], job_state="Q", Hold_Types="n"))

    def start(self, job):
        """Let a MoM run a job, if there is one and nothing is in its way."""
        if self.config["runs"] and not job["comment"]:
            mom = [sys.executable, "-I", __file__, str(self.folder), "mom", job["id"]]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.Popen(mom, start_new_session=True, close_fds=True, **quiet)


def qsub(server, words):
    options, program = getopt.getopt(words, "fhN:q:A:l:j:o:r:v:J:W:")
    option_values = dict(options)
    if not program:
        raise SystemExit("qsub: this stand-in reads no script: the job follows --")
    if not re.fullmatch(r"[A-Za-z0-9_+-][!-~]{0,229}", option_values.get("-N", "")):
        print("qsub: illegal -N value", file=sys.stderr)
        raise SystemExit(2)
    mood, config = server.config["mood"], server.config
    if mood:
        (server.folder / "config.json").write_text(json.dumps(config | {"mood": ""}))
    if mood == "breaks before":
        print("qsub: Batch protocol error", file=sys.stderr)
        raise SystemExit(ERRORS["Unknown Job Id"] % 256)
    limits = dict(text.split("=", 1) for name, text in options if name == "-l")
    chunk = read_chunk(limits["select"])
    queue = option_values.get("-q", config["default"])
    check_queue(config["queues"], queue, chunk, limits)
    if option_values.get("-A", "lab") not in config["accounts"]:
        raise Refused("Invalid Account")
    if mood == "full":
        raise Refused("Maximum number of jobs already in queue", f" {queue}")
    needs = option_values.get("-W", "").removeprefix("depend=")
    for name in needs.split(":")[1:]:
        server.read(name)
    job = {
        "Job_Name": option_values["-N"],
        "job_state": "H" if "-h" in option_values or needs else "Q",
        "Hold_Types": "u" if "-h" in option_values else "s" if needs else "n",
        "depend": needs,
        "queue": queue,
        "Output_Path": f"{os.uname().nodename}:{option_values['-o']}",
        "Resource_List": {**chunk, "walltime": limits["walltime"], "select": limits["select"]},
        "substate": "10",
        "Variable_List": f"PBS_O_HOME={os.environ.get('HOME')},PBS_O_WORKDIR={Path.cwd()},{option_values['-v']}",
        "argv": program,
        "comment": find_obstacle(config["nodes"], chunk),
    }
    with server.locked():
        number = 1 + max((int(path.stem) for path in server.folder.glob("*.job")), default=0)
        number = max(number, 1 + int((server.folder / "last").read_text() if (server.folder / "last").exists() else 0))
        (server.folder / "last").write_text(str(number))
        names = [f"{number}.pbs"]
        if "-J" in option_values:
            last = re.fullmatch(r"1-(\d+)(?:%\d+)?", option_values["-J"])[1]
            names = [f"{number}[{index}].pbs" for index in ("", *range(1, int(last) + 1))]
        for name in names:
            server.write(job | {"id": name})
    for name in names:
        if job["job_state"] == "Q" and "[]" not in name:
            server.start(server.read(name))
    if mood == "breaks after":
        print("qsub: End of File", file=sys.stderr)
        raise SystemExit(1)
    if mood == "hangs":
        time.sleep(600)
    print(names[0])


def read_chunk(select):
    count, *parts = select.split(":")
    assert count == "1", select
    chunk = dict(part.split("=", 1) for part in parts)
    for name, value in chunk.items():
        if name not in RESOURCES:
            raise Refused('Resource invalid in "select" specification', f": {name}")
        number = r"\d+" + ("([kmgt]?b)" if name == "mem" else "")
        if name in ("ncpus", "ngpus", "mem") and not re.fullmatch(number, value):
            raise Refused("Illegal attribute or resource value", f" Resource_List.{name}")
    return chunk


def check_queue(queues, name, chunk, limits):
    if name not in queues:
        raise Refused("Unknown queue")
    queue = queues[name]
    if queue.get("enabled") == "False":
        raise Refused("Queue is not enabled")
    if queue.get("acl"):
        raise Refused("Access to queue is denied")
    if not re.fullmatch(r"(\d+:)?\d+:\d\d", limits["walltime"]):
        raise Refused("Illegal attribute or resource value", " Resource_List.walltime")
    most = read_seconds(queue.get("walltime", "9999:00:00"))
    if read_seconds(limits["walltime"]) > most or int(chunk["ncpus"]) > queue.get("ncpus", 9999):
        raise Refused("Job violates queue and/or server resource limits")


def read_seconds(text):
    seconds = 0
    for part in text.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def find_obstacle(nodes, chunk):
    for name, most in nodes.items():
        wanted = int(chunk.get(name, 0))
        if wanted > most:
            return f"Can Never Run: Insufficient amount of resource: {name} (R: {wanted} A: {most} T: {most})"
    return ""


def qstat(server, words):
    options, names = getopt.getopt(words, "xfQBw")
    flags = dict(options)
    if "-B" in flags:
        print("Server: pbs\n    server_state = Active")
        return 0
    if "-Q" in flags:
        for name in names or server.config["queues"]:
            if name not in server.config["queues"]:
                print(f"qstat: Unknown queue {name}", file=sys.stderr)
                return ERRORS["Unknown queue"] % 256
            limits = server.config["queues"][name]
            print(f"Queue: {name}\n    queue_type = Execution\n    enabled = {limits.get('enabled', 'True')}")
            for resource in ("walltime", "ncpus"):
                if resource in limits:
                    print(f"    resources_max.{resource} = {limits[resource]}")
            print("    started = True\n")
        return 0
    if "-x" in flags and not server.config["history"]:
        print("qstat: PBS is not configured to maintain job history", file=sys.stderr)
        return 0
    code = 0
    jobs = [job for job in server.jobs() if not re.search(r"\[\d+\]", job["id"])]
    for job in [server.read(name) for name in names] if names else jobs:
        if job["job_state"] == "F" and "-x" not in flags:
            if names:
                text = f"qstat: {job['id']} Job has finished, use -x or -H to obtain historical job information"
                print(text, file=sys.stderr)
                code = ERRORS["Job has finished"] % 256
            continue
        show(job)
    return code


def show(job):
    hidden = ("id", "argv", "session", "deleted", "Resource_List")
    pairs = [(name, str(value)) for name, value in job.items() if name not in hidden and value != ""]
    pairs += [(f"Resource_List.{name}", value) for name, value in job["Resource_List"].items()]
    print(f"Job Id: {job['id']}")
    for name, value in pairs:
        line = f"    {name} = {value}"
        print("\n\t".join([line[:78], *(line[at : at + 70] for at in range(78, len(line), 70))]))
    print()


def list_session(session):
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                pids.append(int(entry.name))
    return pids


def signal_session(session, number):
    for process in list_session(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def qsig(server, words):
    options, (name,) = getopt.getopt(words, "s:")
    job = server.read(name)
    if job["job_state"] != "R":
        raise Refused("Request invalid for state of job", f" {name}")
    if "session" in job:
        signal_session(job["session"], getattr(signal, dict(options)["-s"]))
    else:  # no MoM runs it
        server.change(name, job_state="F", Exit_status="271", substate="93")


def qdel(server, words):
    (name,) = words
    job = server.read(name)
    if job["job_state"] == "F":
        raise Refused("Job has finished", f" {name}")
    if "session" in job:
        server.change(name, deleted=True)
    else:
        server.change(name, job_state="F", substate="91")


def qrls(server, words):
    for name in words:
        job = server.read(name)
        if job["Hold_Types"] == "u":
            server.start(server.change(name, job_state="Q", Hold_Types="n") | {"job_state": "Q"})


def mom(server, words):
    (name,) = words
    job, index = server.read(name), "".join(re.findall(r"\[(\d+)\]", name))
    spool = server.folder / f"{name}.OU"
    output = Path(job["Output_Path"].partition(":")[2].replace("^array_index^", index))
    variables = dict(pair.split("=", 1) for pair in job["Variable_List"].split(","))
    home = os.environ.get("HOME", "/")
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "USER": "me", "LOGNAME": "me", "PBS_JOBID": name}
    environ |= {"PBS_ARRAY_INDEX": index} if index else {}
    with spool.open("wb") as file:
        process = subprocess.Popen(
            job["argv"], cwd=home, env=environ | variables, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
        server.change(name, job_state="R", session=process.pid, substate="42", comment="Job run at now")
        began, end, killed = time.time(), None, 0
        limit = read_seconds(job["Resource_List"]["walltime"])
        while process.poll() is None:
            is_over = time.time() - began > limit
            if end is None and (is_over or server.read(name).get("deleted")):
                if is_over:
                    file.write(f"=>> PBS: job killed: walltime {limit + 1} exceeded limit {limit}\n".encode())
                    file.flush()
                    killed = -29
                end = time.time() + server.config["kill_delay"]
                signal_session(process.pid, signal.SIGTERM)
            if end is not None and time.time() > end:
                signal_session(process.pid, signal.SIGKILL)
            time.sleep(0.05)
    server.change(name, job_state="E", substate="50")
    signal_session(process.pid, signal.SIGKILL)
    shutil.copyfile(spool, output)
    code = process.returncode if process.returncode >= 0 else 256 - process.returncode
    substate = "91" if server.read(name).get("deleted") else "92" if code == 0 else "93"
    server.change(name, job_state="F", Exit_status=killed or code, substate=substate)


def main():
    server, command, words = Server(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with (server.folder / "calls").open("a") as calls:
        calls.write(f"{json.dumps([command, *words])}\n")
    if server.config["away"] and command != "mom":
        print(f"Connection refused\n{command}: cannot connect to server pbs (errno=111)", file=sys.stderr)
        return 1
    try:
        commands = {"qsub": qsub, "qstat": qstat, "qsig": qsig, "qdel": qdel, "qrls": qrls, "mom": mom}
        return commands[command](server, words)
    except getopt.GetoptError as error:
        print(f"{command}: {error}\nusage: {command} …", file=sys.stderr)
        return 2
    except Refused as refused:
        print(f"{command}: {refused}", file=sys.stderr)
        return refused.code


if __name__ == "__main__":
    sys.exit(main())
