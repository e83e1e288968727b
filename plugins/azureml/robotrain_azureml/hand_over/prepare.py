"""What a job needs in its workspace, brought there: its environment, and folders of this machine. Nothing is sent."""

import dataclasses
from collections.abc import Iterator

from robotrain.plan import Plan
from robotrain.problem import Rejected, Stage

from robotrain_azureml.hand_over import environments, handed, refusals, upload
from robotrain_azureml.hand_over.sdk import Sdk
from robotrain_azureml.hand_over.upload import Brought
from robotrain_azureml.order import Order
from robotrain_azureml.spec import inputs


def prepare(plan: Plan) -> Iterator[str]:
    """A line for each, as soon as it is there. Raises Rejected.

    What goes to a place of one run alone, having no digest, is looked at anew by the submit: it is left to that.
    """
    order = handed.of(plan, Stage.SUBMIT)
    ahead = tuple(one for one in order.uploads if inputs.is_by_content(one.to))
    order = dataclasses.replace(order, uploads=ahead)
    upload.refuse(plan, order)
    yield from (one.line for one in brought(client(order), plan, order))


def client(order: Order) -> Sdk:
    """The SDK, for the workspace. Raises Rejected where it cannot be imported."""
    try:
        return Sdk(order.at)
    except Exception as error:
        raise refusals.of(error, order, None) from error


def brought(sdk: Sdk, plan: Plan, order: Order) -> Iterator[Brought]:
    """The same with a client that is there. The environment comes first: what differs there stops everything."""
    wanted = order.environment
    named = f"environment {wanted.name}:{wanted.version}"
    try:
        made = environments.ensure(sdk, wanted)
        yield Brought(f"{named} was registered with {wanted.image}" if made else f"{named} is there already", made)
        yield from upload.bring(plan, order)
    except Rejected:
        raise
    except Exception as error:
        raise refusals.of(error, order, sdk.calls.last) from error
