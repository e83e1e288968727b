"""Sweep jobs: what is refused in one, and its trials, each a command job named `SWEEP_NUMBER`.

From the SDK: that a trial is a job of its own, of which `download` of a sweep takes the one that the property
`best_child_run_id` names. From the pages on sweeps of learn.microsoft.com: the limits, that a grid takes choices only,
and `AZUREML_SWEEP_NAME`. Not known, and so decided here: the order of a grid, and that a sweep ends well when one of
its trials does.
"""

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from azure_stand_in.ml import job_rules
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.job import Parent

MOST = 1000
"""Trials of a sweep, and how many at once."""
NUMBERS: Mapping[str, int] = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3}
"""How many numbers a distribution has."""
_PLACE = r"\$\{\{search_space\.([^}]*)\}\}"


def find_wrong(name: str, body: Mapping[str, Any], ml: Ml) -> job_rules.Found:
    """Of the job, of what it searches, and of a trial as of a command job."""
    yield from job_rules.find_wrong_texts(name, body)
    wrong = [*_find_wrong_search(body)]
    yield from (("InvalidSweep", sentence) for sentence in wrong)
    if not wrong:
        trial = make_trial(body, f"{name}_0", next(draw(body)))
        yield from ((code, f"The trial: {sentence}") for code, sentence in job_rules.find_wrong(f"{name}_0", trial, ml))


def _find_wrong_search(body: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the space, the sampler, the objective, the limits, and what the trials share."""
    space, sampler = body.get("searchSpace") or {}, body["samplingAlgorithm"]["samplingAlgorithmType"]
    if not space:
        yield "The sweep job has no search space."
    if sampler not in ("Grid", "Random", "Bayesian"):
        yield f"The sampling algorithm {sampler!r} is not supported."
    for name, (kind, numbers) in space.items():
        if not re.fullmatch(job_rules.PATTERNS["binding"], name):
            yield f"Key name {name} must be composed letters, numbers, and underscore."
        if kind != "choice" and (sampler == "Grid" or len(numbers) != NUMBERS.get(kind)):
            yield f"The distribution of {name} is invalid for {sampler}: {kind} {numbers}."
    if body["objective"]["goal"].title() not in ("Minimize", "Maximize") or not body["objective"]["primaryMetric"]:
        yield "The objective needs a goal, Minimize or Maximize, and a primary metric."
    for name in re.findall(_PLACE, str(body["trial"].get("command"))):
        if name not in space:
            yield f"The command refers to search_space.{name}, which the sweep does not have."
    for name in ("maxTotalTrials", "maxConcurrentTrials"):
        if not 1 <= body["limits"].get(name, 0) <= MOST:
            yield f"{name} must be between 1 and {MOST}."
    for name, job_output in (body.get("outputs") or {}).items():
        if job_output.get("uri") and "${{name}}" not in job_output["uri"]:
            yield f"All trials would write the output {name} to {job_output['uri']}."


def draw(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    space, algorithm = body["searchSpace"], body["samplingAlgorithm"]
    if algorithm["samplingAlgorithmType"] == "Grid":
        for chosen in itertools.product(*(distribution[1][0] for distribution in space.values())):
            yield dict(zip(space, chosen, strict=True))
        return
    source = random.Random(algorithm.get("seed"))
    while True:
        yield {name: _draw_value(source, *distribution) for name, distribution in space.items()}


def _draw_value(source: random.Random, kind: str, arguments: list[Any]) -> Any:
    if kind == "choice":
        return source.choice(arguments[0])
    drawn = source.uniform(*arguments[:2])
    drawn = math.exp(drawn) if "log" in kind else drawn
    return round(drawn / arguments[2]) * arguments[2] if kind.startswith("q") else drawn


def make_trial(body: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a trial as a command job: its values are text in the command."""
    trial, timeout = body["trial"], body["limits"].get("trialTimeout")
    environ = {f"AZUREML_SWEEP_{parameter}": str(value) for parameter, value in values.items()}
    of_sweep = ("experimentName", "tags", "computeId", "identity", "inputs", "outputs", "queueSettings")
    of_trial = ("codeId", "environmentId", "distribution")
    return {
        "jobType": "Command",
        "displayName": name,
        "command": re.sub(_PLACE, lambda match: str(values[match[1]]), str(trial.get("command") or "")),
        **{key: whole[key] for keys, whole in ((of_trial, trial), (of_sweep, body)) for key in keys if whole.get(key)},
        "environmentVariables": {**(trial.get("environmentVariables") or {}), **environ},
        "resources": body.get("resources") or trial.get("resources") or {},
        **({"limits": {"jobLimitsType": "Command", "timeout": timeout}} if timeout else {}),
    }


class Sweep(Parent):
    """A sweep job. children: its trials, by their names."""

    def __init__(self, ml: Ml, name: str, body: Mapping[str, Any]) -> None:
        super().__init__(ml, name, body)
        self._values = itertools.islice(draw(body), body["limits"]["maxTotalTrials"])

    def begin_children(self) -> None:
        self._note_scores()
        while not self.cancelled.is_set() and len(self.live) < self.body["limits"]["maxConcurrentTrials"]:
            if (values := next(self._values, None)) is None:
                break
            name = f"{self.name}_{len(self.children)}"
            self.begin_child(name, name, make_trial(self.body, name, values))

    def conclude(self) -> None:
        if any(child.status == "Completed" for child in self.children.values()):
            self.state("Completed")
        else:
            self.fail("SweepFailed", "All trials of the sweep job failed.")

    def _note_scores(self) -> None:
        """Say which trial is the best so far, by the last value of the primary metric that it has sent to MLflow."""
        objective, scores = self.body["objective"], dict[str, float]()
        for child in self.children.values():
            done = self.here.runs and child.status == "Completed"
            metrics = self.here.runs.get_run(child.name)["data"].get("metrics", ()) if done else ()
            for metric in metrics:
                if metric["key"] == objective["primaryMetric"]:
                    scores[child.name] = float(metric["value"])
        if scores:
            best = (min if objective["goal"].title() == "Minimize" else max)(scores, key=scores.__getitem__)
            more = {"best_child_run_id": best, "score": str(scores[best])}
            self.body["properties"] = {**(self.body.get("properties") or {}), **more}
