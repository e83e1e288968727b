"""Secrets in plans: a plan is stored, shown and sent, so it may hold only the name of one."""

import re
from collections.abc import Iterator

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.redaction import holds_secret, redact

make_problem = Messages(__file__)

ENCODED_ARCHIVE = r"(?<![A-Za-z0-9+/])Qlpo[A-Za-z0-9+/]{200,}={0,2}"
"""A payload as text: an archive of bzip2 in base64, which may match a secret's pattern by chance."""


def find_secrets_in_plan(plan: Plan) -> Iterator[Problem]:
    """Yield a problem for the first file of a plan that contains a secret: plans are stored, shown and sent."""
    for path, file_bytes in sorted(plan.files.items()):
        try:
            file_text = file_bytes.decode()
        except UnicodeDecodeError:
            continue
        if "\0" not in file_text and holds_secret(re.sub(ENCODED_ARCHIVE, "", file_text)):
            title = f"platform {plan.platform} failed in render: its {redact(path)} contains a secret"
            yield make_secret_problem(title)
            return


def make_secret_problem(title: str) -> Problem:
    """Return the problem of a plugin whose answer contains a secret."""
    return make_problem("plugin-failed.secret", title=title)
