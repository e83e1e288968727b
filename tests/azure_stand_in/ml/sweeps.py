"""Sweep jobs: what is refused in one, and its trials, each a command job named `SWEEP_NUMBER`.

From the SDK: the fields and `_to_rest_object` of its SweepJob; that a trial is a job of its own, of which `download` of
a sweep takes the one that the property `best_child_run_id` names. From the pages on sweeps of learn.microsoft.com: the
limits, that a grid takes choices only, and `AZUREML_SWEEP_NAME`. Not known, and so decided here: the order of a grid,
and that a sweep ends well when one of its trials does.
"""

import itertools
import math
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azure_stand_in.ml import fields, job_rules
from azure_stand_in.ml.contents import Here, Ml
from azure_stand_in.ml.job import Job
from azure_stand_in.ml.request import Refused, user_error

Make = Callable[[str, dict[str, Any]], Job]
"""Makes a trial: its name, its properties."""
MOST = 1000
"""Trials of a sweep, and how many at once."""
NUMBERS: Mapping[str, int] = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3}
"""How many numbers a distribution has."""
TRIAL: fields.Shape = {
    **{name: fields.JOB[name] for name in ("command", "codeId", "environmentId", "environmentVariables")},
    **{name: fields.JOB[name] for name in ("distribution", "resources")},
}
SWEEP: fields.Shape = {
    **{name: fields.JOB[name] for name in ("jobType", "description", "displayName", "experimentName", "isArchived")},
    **{name: fields.JOB[name] for name in ("tags", "properties", "computeId", "identity", "inputs", "outputs")},
    **{name: fields.JOB[name] for name in ("resources", "queueSettings", "services", "componentId")},
    "limits": {
        "jobLimitsType": str,
        "maxTotalTrials": int,
        "maxConcurrentTrials": int,
        "timeout": str,
        "trialTimeout": str,
    },
    "objective": {"goal": str, "primaryMetric": str},
    "samplingAlgorithm": {"samplingAlgorithmType": str, "seed": int, "rule": str, "logbase": str},
    "searchSpace": dict,
    "earlyTermination": dict,
    "trial": TRIAL,
}
_KEY = r"[a-zA-Z_][a-zA-Z0-9_]*"
_PLACE = r"\$\{\{search_space\.([^}]*)\}\}"


def judge(name: str, sent: Mapping[str, Any], ml: Ml) -> None:
    """Raise Refused with what is wrong: of the job, of what it searches, and of a trial as of a command job."""
    for rule in ("name", "limits", "experiment"):
        if found := list(job_rules.RULES[rule].finds(job_rules.Sent(name, sent, ml))):
            raise user_error(" ".join(found), job_rules.RULES[rule].inner)
    body = sent["properties"]
    if found := [*fields.wrong(body, SWEEP)]:
        raise user_error(" ".join(found), "InvalidField")
    if found := [*_search(body), *_limits(body), *_shared(body)]:
        raise user_error(" ".join(found), "InvalidSweep")
    try:
        job_rules.judge(f"{name}_0", {"properties": make_trial(body, f"{name}_0", next(draw(body)))}, ml)
    except Refused as no:
        raise user_error(f"The trial: {no.message}", no.inner) from no


def _search(body: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the space, the sampler, the objective, and the command that names the space."""
    space = body.get("searchSpace") or {}
    sampler = (body.get("samplingAlgorithm") or {}).get("samplingAlgorithmType")
    if not space:
        yield "The sweep job has no search space."
    if sampler not in ("Grid", "Random", "Bayesian"):
        yield f"The sampling algorithm {sampler!r} is not supported."
    for name, given in space.items():
        kind, numbers = given
        if not re.fullmatch(_KEY, name):
            yield f"Key name {name} must be composed letters, numbers, and underscore."
        if kind != "choice" and len(numbers) != NUMBERS.get(kind):
            yield f"The distribution of {name} is invalid: {given!r}."
        if sampler == "Grid" and kind != "choice":
            yield f"Grid sampling supports choice only, and {name} is {kind}."
    objective = body.get("objective") or {}
    if str(objective.get("goal")).title() not in ("Minimize", "Maximize") or not objective.get("primaryMetric"):
        yield "The objective needs a goal, Minimize or Maximize, and a primary metric."
    for name in re.findall(_PLACE, str((body.get("trial") or {}).get("command") or "")):
        if name not in space:
            yield f"The command refers to search_space.{name}, which the sweep does not have."


def _limits(body: Mapping[str, Any]) -> Iterator[str]:
    limits = body.get("limits") or {}
    for name in ("maxTotalTrials", "maxConcurrentTrials"):
        if not 1 <= limits.get(name, 0) <= MOST:
            yield f"{name} must be between 1 and {MOST}."


def _shared(body: Mapping[str, Any]) -> Iterator[str]:
    """Outputs with a place of their own: each trial would write to it."""
    for name, given in (body.get("outputs") or {}).items():
        if given.get("uri") and "${{name}}" not in given["uri"]:
            yield f"All trials would write the output {name} to {given['uri']}."


def draw(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    space, algorithm = body["searchSpace"], body["samplingAlgorithm"]
    if algorithm["samplingAlgorithmType"] == "Grid":
        for chosen in itertools.product(*(given[1][0] for given in space.values())):
            yield dict(zip(space, chosen, strict=True))
        return
    source = random.Random(algorithm.get("seed"))
    while True:
        yield {name: _draw_value(source, *given) for name, given in space.items()}


def _draw_value(source: random.Random, kind: str, given: list[Any]) -> Any:
    if kind == "choice":
        return source.choice(given[0])
    drawn = source.uniform(*given[:2])
    drawn = math.exp(drawn) if "log" in kind else drawn
    return round(drawn / given[2]) * given[2] if kind.startswith("q") else drawn


def make_trial(body: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a trial as a command job: its values are text in the command."""
    trial, limits = body["trial"], body["limits"]
    command = re.sub(_PLACE, lambda found: str(values[found[1]]), str(trial.get("command") or ""))
    environ = {f"AZUREML_SWEEP_{one}": str(value) for one, value in values.items()}
    timeout = {"limits": {"jobLimitsType": "Command", "timeout": limits.get("trialTimeout")}}
    same = ("experimentName", "tags", "computeId", "identity", "inputs", "outputs", "queueSettings")
    return {
        "jobType": "Command",
        "displayName": name,
        "command": command,
        **{key: trial.get(key) for key in ("codeId", "environmentId", "distribution") if trial.get(key)},
        "environmentVariables": {**(trial.get("environmentVariables") or {}), **environ},
        "resources": body.get("resources") or trial.get("resources") or {},
        **(timeout if limits.get("trialTimeout") else {}),
        **{key: body[key] for key in same if body.get(key)},
    }


class Sweep(Job):
    """A sweep job. children: its trials as jobs, by their names, once they could begin."""

    def __init__(
        self, name: str, at: str, body: Mapping[str, Any], here: Here, make: Make, run: Callable[[Job], object]
    ) -> None:
        super().__init__(name, at, body, here.blobs, None, {}, {}, (), "")
        self._here, self._make, self._run = here, make, run
        self._values = itertools.islice(draw(body), body["limits"]["maxTotalTrials"])
        self._at_once = body["limits"].get("maxConcurrentTrials") or MOST
        self._left = True
        self._advancing = threading.RLock()

    def advance(self) -> None:
        """Begin as many trials as may run; end with the last."""
        with self._advancing:
            while self._left and not self.finished and not self.cancelled.is_set() and self._live() < self._at_once:
                values = next(self._values, None)
                if values is None:
                    self._left = False
                else:
                    self._begin(f"{self.name}_{len(self.children)}", values)
            if self.finished:
                return
            if self._live():
                if self.status not in ("Running", "CancelRequested"):
                    self.state("Running")
            elif self.cancelled.is_set():
                self.state("Canceled")
            elif any(child.status == "Completed" for child in self.children.values()):
                self.state("Completed")
            else:
                self.fail("SweepFailed", "All trials of the sweep job failed.")

    def cancel(self) -> None:
        """Ask for its end: of the trials that run, and nothing begins any more."""
        super().cancel()
        for child in [*self.children.values()]:
            child.cancel()
            if not self._here.runner and self._here.cancelling == "at-once" and not child.finished:
                child.state("Canceled")
        self.advance()

    def _live(self) -> int:
        return sum(not child.finished for child in self.children.values())

    def _begin(self, name: str, values: Mapping[str, Any]) -> None:
        child = self.children[name] = self._make(name, make_trial(self.body, name, values))
        child.parent = self
        child.changed = lambda: self._noted(child)
        self._run(child)

    def _noted(self, child: Job) -> None:
        if child.status == "Completed" and (score := self._score(child)) is not None:
            properties = self.body.setdefault("properties", {}) or {}
            sign = -1 if self.body["objective"]["goal"].title() == "Minimize" else 1
            if "score" not in properties or sign * score > sign * float(properties["score"]):
                self.body["properties"] = {**properties, "best_child_run_id": child.name, "score": str(score)}
        self.advance()

    def _score(self, child: Job) -> float | None:
        """The last value of the primary metric that a trial has sent to MLflow."""
        metrics = self._here.runs.get_run(child.name)["data"].get("metrics", ()) if self._here.runs else ()
        name = self.body["objective"]["primaryMetric"]
        return next((float(one["value"]) for one in metrics if one["key"] == name), None)
