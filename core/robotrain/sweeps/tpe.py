"""The sampler `tpe`: values of the next trial from the results of earlier ones, by optuna; imported only there."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

from robotrain_runtime.contract.document import Dimension, Scalar

from robotrain.errors import Problem, Suggestion
from robotrain.installation import suggest_install
from robotrain.messages import Messages
from robotrain.pipelines.progress import StepState
from robotrain.sweeps.results import find_metric
from robotrain.sweeps.space import SweepPlan

make_problem = Messages(__file__)

EXTRA = "robotrain[optuna]"


def check_installed() -> Iterator[Problem]:
    """Yield a problem if optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        ways = (suggest_install(EXTRA), Suggestion("--sampler random", "needs nothing more"))
        yield make_problem("optuna-missing", *ways)


def choose_values(plan: SweepPlan, steps: Sequence[StepState]) -> dict[str, Scalar]:
    """Return the values of the next trial.

    :param steps: all trials; those with values were begun, and those with a score of the metric are learned from.
    """
    optuna: Any = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    begun_steps = [step for step in steps if step.values]
    metric = find_metric(plan, [step.scores for step in begun_steps])
    distributions = {name: _make_distribution(optuna, dimension) for name, dimension in plan.space.items()}
    sampler = optuna.samplers.TPESampler(seed=plan.sampler_seed + len(begun_steps), constant_liar=True)
    direction = "maximize" if metric and metric[1] == "higher" else "minimize"
    study = optuna.create_study(sampler=sampler, direction=direction)
    for step in begun_steps:
        score = step.scores.get(metric[0]) if metric else None
        states = optuna.trial.TrialState
        state = states.RUNNING if not step.finished else states.FAIL if score is None else states.COMPLETE
        trial_fields = {"state": state, "params": step.values, "distributions": distributions}
        study.add_trial(optuna.create_trial(**trial_fields, value=score if state == states.COMPLETE else None))
    return dict(study.ask(distributions).params)


def _make_distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    if dimension.integer:
        lower_bound = round(dimension.low)
        upper_bound = round(dimension.high)
        return optuna.distributions.IntDistribution(lower_bound, upper_bound, log=dimension.log)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
