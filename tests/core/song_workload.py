"""A stranger's workload whose program is asked about the options of a job."""

WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Role, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    verses: Annotated[int, Param(help="how many verses", gt=0)] = 3

@hook
def robotrain_workloads():
    roles = {"dataset": Role()}
    yield Workload(
        name="sing", summary="sings", parameters=Parameters, roles=roles, container_plugin="song_work",
        program="the singer", produces="files",
    )
"""
CONTAINER = """
from pathlib import Path
from robotrain_runtime.plugin import PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).with_name("song.txt"), python="3.10-3.14", gib=0.01, required_packages={"typer": "0"}
)
DESCRIBED = {"dataset": ("score.txt",)}


def compare(document, described):
    scores = (folder / "score.txt" for folder in described.values())
    return [f"{score} is out of tune" for score in scores if "false" in score.read_text()]


def check_command(document, described, work):
    if "--silent=1" in document.trainer_args:
        return None
    known = [str(folder / "score.txt") for folder in described.values()]
    return WorkCommand(arguments=("-m", "song_check", str(work / "made"), *known, "--", *document.trainer_args))


def work(document, data, work):
    return WorkCommand(arguments=("-c", "pass"))


def tracked(document):
    return TrackingSpec(experiment="songs", run_name="song", params={}, tags={})
"""
PROGRAM = """
import json, os, sys, time
from robotrain_runtime.plugin import Verdict, emit_verdict, suggest_leaving_out

separator = sys.argv.index("--")
options = dict(word[2:].split("=", 1) for word in sys.argv[separator + 1 :])
with open(options.get("log", os.devnull), "a") as log:
    log.write(json.dumps({"environ": dict(os.environ), "folder": os.getcwd(), "path": sys.path}) + "\\n")
answer = options.get("answer", "accept")
if answer == "accept":
    print("la la la")
    emit_verdict(Verdict(result="accepted"))
elif answer == "refuse":
    given = f"--pitch={options['pitch']}"
    text = f"no song of {sys.argv[2]} has the pitch {options['pitch']}"
    emit_verdict(Verdict(result="refused", text=text, options=(given,), ways=(suggest_leaving_out("--pitch"),)))
elif answer == "refuse all":
    emit_verdict(Verdict(result="refused", text="the song is too long"))
elif answer == "unsure":
    emit_verdict(Verdict(result="unchecked", text="it has to hear --voice first"))
elif answer == "full disk":
    emit_verdict(Verdict(result="unchecked", text="the disk is full"))
    sys.exit(1)
elif answer == "hang":
    child = os.fork()
    if not child:
        time.sleep(60)
    open(options["pids"], "w").write(f"{os.getpid()} {child}")
    time.sleep(60)
elif answer == "crash":
    raise KeyError("no voice")
elif answer == "garbage":
    for _ in range(100):
        sys.stdout.write("::robotrain:: {{{" * 1000)
        sys.stderr.write("la" * 5000)
"""
