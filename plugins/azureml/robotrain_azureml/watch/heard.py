"""What a run's log tells of what it left. A log that cannot be read takes nothing else away."""

from collections.abc import Iterator

from robotrain.problem import Rejected
from robotrain.run import Reference
from robotrain_azure import heard as shared
from robotrain_azure.heard import Heard

from robotrain_azureml.watch import logs


def heard(reference: Reference) -> Heard:
    """All that it says by now."""
    return shared.of(_lines(reference))


def _lines(reference: Reference) -> Iterator[str]:
    try:
        yield from logs.lines(reference, follow=False)
    except Rejected:
        return
