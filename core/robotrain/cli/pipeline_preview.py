"""Preview of a pipeline before it is submitted: its steps, and what starts them."""

from collections.abc import Callable
from dataclasses import replace

from robotrain.cli.output import format_table, print_message, print_problems
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.model.platform import make_feature_error
from robotrain.pipelines.prepare import PreparedPipeline, pin_pipeline

make_problem = Messages(__file__)


def pin_and_preview(
    prepared: PreparedPipeline,
    *,
    pinning: bool,
    native_only: bool = False,
    explain: Callable[[Problem], Problem] = lambda problem: problem,
) -> PreparedPipeline:
    """Pin the steps of a pipeline, print them, and return it with the problems of pinning as warnings.

    Raise Rejected if one of them is an error, or if `native_only` forbids that this machine starts the steps.

    :param explain: returns a problem of pinning as people see it.
    """
    pinned, problems = pin_pipeline(prepared, pinning, print_message)
    all_problems = [*map(explain, problems)]
    if native_only and not pinned.platform.capabilities.feature("native_dag"):
        raise make_feature_error(pinned.platform, "native_dag")
    print_problems(describe_driver(pinned))
    print_message(format_steps(pinned))
    raise_if_any(all_problems)
    return replace(pinned, warnings=(*prepared.warnings, *all_problems))


def describe_driver(prepared: PreparedPipeline) -> list[Problem]:
    """Return a note that this machine must stay on, if the platform does not run the pipeline on its own."""
    if prepared.is_native or prepared.platform.capabilities.feature("runs_here"):
        return []
    return [make_problem("driven-here", name=prepared.platform.name)]


def format_steps(prepared: PreparedPipeline) -> str:
    """Return the steps in their order, as a table."""
    rows = [("STEP", "DOES", "NEEDS")]
    for step in prepared.steps:
        inputs = [f"{step_input.role} from {step_input.step}" for step_input in step.inputs]
        inputs += [f"{source.role} {source.uri}" for source in step.job.job.sources if source.kind != "step"]
        does = f"{step.job.job.workload}: {', '.join(inputs)}".rstrip(": ")
        rows.append((step.name, does, ", ".join(step.needs)))
    return format_table(rows)
