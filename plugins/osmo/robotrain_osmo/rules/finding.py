"""How OSMO's rules say that a value is unfit; the rest is said as on any platform that speaks to Azure."""

from robotrain.problem import Problem
from robotrain_azure import finding
from robotrain_azure.finding import Ways

from robotrain_osmo import names


def unfit(flag: str, given: str, what: str, why: str, instead: Ways = ()) -> Problem:
    """A value that is no such thing. What OSMO would read as a template is told as that."""
    if read := names.read_in(given):
        why = f"OSMO reads a workflow as a template, and Kubernetes puts variables in: `{read}` would begin one."
    return finding.unfit("osmo-value-invalid", flag, given, what, why, instead)
