"""How Azure ML's rules say that a value is unfit; the rest is said as on any platform that speaks to Azure."""

from robotrain.problem import Problem
from robotrain_azure import finding
from robotrain_azure.finding import Ways

from robotrain_azureml.spec.text import TEMPLATE


def unfit(flag: str, given: str, what: str, why: str, instead: Ways = ()) -> Problem:
    """A value that is no such thing. What Azure ML would read as a template is told as that."""
    if TEMPLATE in given:
        why = f"Azure ML reads `{TEMPLATE}` as the begin of an expression of its own."
    return finding.unfit("azureml-value-invalid", flag, given, what, why, instead)
