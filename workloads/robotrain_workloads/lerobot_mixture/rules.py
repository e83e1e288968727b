"""Rules for the mixture of a resolved job, on the submit side."""

from collections.abc import Iterator

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact

from robotrain_workloads.dataset_check.dataset_options import STREAMING
from robotrain_workloads.lerobot.dataset_shares import EXAMPLE, MIXTURE, MIXTURE_FLAG, list_shares
from robotrain_workloads.lerobot.job import LerobotJob

make_problem = Messages(__file__)


def check_mixture(job: LerobotJob) -> Iterator[Problem]:
    """Require a weight greater than 0 for each dataset, and datasets that are not streamed."""
    mixture = job.parameters[MIXTURE]
    if not mixture:
        return
    try:
        shares = list_shares(job.parameters, job.sources)
    except ValueError as error:
        way = Suggestion(f"{MIXTURE_FLAG} WEIGHTS", f"one for each dataset, in their order, such as {EXAMPLE}")
        yield make_problem("value-invalid.mixture", way, given=redact(str(mixture)), why=str(error))
        return
    if shares and job.option_values.get(STREAMING) is True:
        yield make_problem("options-conflict.mixture-streamed", suggest_leaving_out(STREAMING), given=str(mixture))
