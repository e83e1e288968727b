"""What the runtime's own look found, as a platform that looks from here tells it to the person who submits."""

from robotrain_runtime.finding import Finding

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

REMARK = "   "
"""Between what to type and why that would do."""


def problem_of(finding: Finding) -> Problem:
    """A finding of the runtime, as a problem that stops a submit."""
    ways = (way.partition(REMARK) for way in finding.ways)
    return Problem(
        code=finding.code,
        stage=Stage.PREFLIGHT,
        title=finding.title,
        where=finding.where,
        given=redact(finding.given),
        why=redact(finding.why),
        instead=tuple(Instead(text.strip(), remark.strip()) for text, _, remark in ways),
    )
