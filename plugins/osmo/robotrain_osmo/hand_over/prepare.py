"""What a workflow reads from this machine, uploaded ahead of it."""

import dataclasses
from collections.abc import Iterator

from robotrain.plan import Plan
from robotrain.problem import Stage

from robotrain_osmo.hand_over import handed, upload, upload_there


def prepare(plan: Plan) -> Iterator[str]:
    """Upload its folders; then a line for each, with the address that it lies at. Raises Rejected.

    What goes to a place of one run alone, having no digest, is uploaded anew by the submit: it is left to that.
    """
    order = handed.of(plan, Stage.SUBMIT)
    ahead = tuple(one for one in order.uploads if one.path and upload_there.is_by_content(one))
    upload.bring(plan, dataclasses.replace(order, uploads=ahead))
    yield from (f"{one.path} {one.url}" for one in ahead)
