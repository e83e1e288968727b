"""`SourceKit`: what holds for every source kind, tried on the author's own."""

from robotrain.testing.source.declaration import Declaration
from robotrain.testing.source.journey import Journey
from robotrain.testing.source.packed import Packed
from robotrain.testing.source.pinning import Pinned
from robotrain.testing.source.refusals import Refusals
from robotrain.testing.source.texts import Texts


class SourceKit(Declaration, Texts, Refusals, Journey, Packed, Pinned):
    """The standard tests of a source kind. In a test file of your distribution, which is installed::

        class TestS3(SourceKit):
            kind = "s3"
            good: ClassVar = {"s3://bucket/episodes/": "s3://bucket/episodes"}
            bad = ("s3://", "https://s3.amazonaws.com/bucket")

            @pytest.fixture
            def served(self, server):
                return Served(text="s3://bucket/episodes", files=server.files)

    kind: its name. good: texts that name a source, with their printed form; relative names start from `/work`. bad:
    texts that people type and that name none. served: a fixture with a place that really holds a source
    (`robotrain.testing.Served`); without it nothing is fetched. public_only: as of PlatformKit.
    """
