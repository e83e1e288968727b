"""The conformance kit of platforms: everything that robotrain and its users rely on, as tests."""

from robotrain.testing.carrying import Carrying
from robotrain.testing.cells import Cells
from robotrain.testing.declaring import Declaring
from robotrain.testing.following import Following
from robotrain.testing.injection import Injection
from robotrain.testing.kept_secret import KeptSecret
from robotrain.testing.loading import Loading
from robotrain.testing.observing import Observing
from robotrain.testing.rendering import Rendering
from robotrain.testing.sending import Sending
from robotrain.testing.telling import Telling


class PlatformKit(
    Loading,
    Declaring,
    Cells,
    Carrying,
    Rendering,
    Injection,
    KeptSecret,
    Sending,
    Observing,
    Following,
    Telling,
):
    """Derive a test class from it, name the platform, and give the fixture `world`::

        class TestMars(PlatformKit):
            platform = "mars"

            @pytest.fixture
            def world(self, tmp_path):
                return MarsWorld(tmp_path)

    platform: its name on the command line; its plugin is installed. world: a `robotrain.testing.World`. public_only:
    False where the plugin is released together with robotrain, and may use more of it than is promised to stay.
    """
