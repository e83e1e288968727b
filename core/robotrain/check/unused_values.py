"""Values of a project's files, which are for all its jobs, that one job cannot use."""

from collections.abc import Iterable, Iterator

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.resolve import Resolution
from robotrain.config.values import PROJECT_LAYERS
from robotrain.errors import Problem, select_errors
from robotrain.messages import Messages
from robotrain.redaction import redact

make_problem = Messages(__file__)

UNUSABLE = ("feature-not-there", "target-not-accepted", "target-takes-checkpoints")
"""Messages of values that are right, but not for this job or platform; all of `option-without-effect` are so too."""


def find_unused_values(problems: Iterable[Problem], resolution: Resolution) -> Iterator[tuple[str, Problem]]:
    """Yield the name of each value of the project that the errors are about, with the note that it is left out."""
    unusable = [
        problem
        for problem in select_errors(problems)
        if problem.message in UNUSABLE or problem.code == "option-without-effect"
    ]
    project_values = {
        name: value
        for name, value in (*resolution.parameters.items(), *resolution.platform_settings.items())
        if value.origin.layer in PROJECT_LAYERS
    }
    settings_type: type = type(resolution.settings)
    for parameter in (*get_parameters(resolution.workload.parameters), *get_parameters(settings_type)):
        if (value := project_values.get(parameter.name)) is None:
            continue
        given_there = (value.origin.where, redact(str(value.value)))
        for problem in unusable:
            if problem.where in parameter.flags or (problem.where, problem.given) == given_there:
                note = make_problem("value-left-out", flag=parameter.flag, origin=value.origin, title=problem.title)
                yield parameter.name, note
