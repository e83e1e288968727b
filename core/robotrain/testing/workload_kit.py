"""`WorkloadKit`: what holds for every workload, tried on the author's own."""

from robotrain.testing.workload.at_home import AtHome
from robotrain.testing.workload.effects import Effects
from robotrain.testing.workload.parameters import Parameters
from robotrain.testing.workload.places import Places
from robotrain.testing.workload.running import Running


class WorkloadKit(Parameters, Effects, AtHome, Places, Running):
    """The standard tests of a workload. In a test file of your distribution, which is installed::

        class TestStatistics(WorkloadKit):
            workload = "lerobot-stats"
            job = ("--dataset-path", "/folder/of/a/dataset")
            unchanged: ClassVar = {"bins": "counts alike however many there are, in a dataset of one episode"}

            @pytest.fixture
            def runs(self):
                return ("--dataset-path", "/folder/of/a/dataset", "--bins", "4")

    workload: its name. job: the words of a complete job of it, on any platform; its sources are folders that are here,
    or the fixture `data` gives the folder of each. changed: another value of a parameter, where none can be guessed.
    unchanged: by parameter, why it alone changes nothing that is made of `job`. options: by platform, the words that
    its settings need. runs: a fixture with the words of a small job that is run on this machine; tells: the events that
    it must tell (`metrics`, `checkpoint`); public_only: as of PlatformKit.
    """
