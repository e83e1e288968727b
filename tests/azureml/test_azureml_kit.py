"""Azure ML keeps what every platform promises."""

import pytest
from azure_stand_in.ml.world import AzureMLWorld
from robotrain.testing import PlatformKit

pytestmark = pytest.mark.slow  # about ninety command lines, and Azure's own SDK sends twenty jobs


class TestAzureML(PlatformKit):
    platform = "azureml"

    @pytest.fixture
    def world(self, observing):
        return AzureMLWorld(observing)
