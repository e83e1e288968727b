"""The stand-in as fixtures: `from azure_stand_in.fixtures import azure, azure_session` in a conftest."""

import shutil
from collections.abc import Iterator

import pytest

from azure_stand_in import AzureStandIn, started

TOOLS = ("openssl", "npm", "node")


@pytest.fixture(scope="session")
def azure_session(tmp_path_factory) -> Iterator[AzureStandIn]:
    """Started once; a machine that cannot is a failure with a sentence, never a silent skip."""
    if lacking := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.fail(
            f"the Azure stand-in needs {', '.join(lacking)}: install Node.js with npm, and OpenSSL", pytrace=False
        )
    with started(tmp_path_factory.mktemp("azure")) as stand_in:
        yield stand_in


@pytest.fixture
def azure(azure_session) -> Iterator[AzureStandIn]:
    """For one test: nothing noted, nothing refused. Blobs of earlier tests lie there still."""
    for server in (azure_session.front, azure_session.many, azure_session.sign_in, azure_session.managed):
        server.requests.clear()
    azure_session.proxy.refused.clear()
    yield azure_session
    azure_session.front.faults.clear()
    azure_session.many.faults.clear()
