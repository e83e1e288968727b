"""Asking for a platform costs what it needs, and no more."""

from robotrain.testing import distributions
from robotrain.testing.bench import Bench
from robotrain.testing.elsewhere import Afar
from robotrain.testing.on_a_bench import OnABench

HEAVY = (
    *("asyncio", "multiprocessing", "sqlite3", "unittest", "http.client", "http.server", "ssl", "tkinter", "pydoc"),
    *("pydantic", "typer", "yaml", "numpy", "torch", "requests", "httpx"),
)
"""What the module of a platform must not import; its methods may."""


class Loading(OnABench):
    """What is imported when."""

    def test_it_loads(self, bench: Bench) -> None:
        """Its module brings the name that its metadata claims, and nothing is wrong with it."""
        assert bench.platform.name == bench.name
        assert bench.platform.summary.strip()
        assert [str(failure) for failure in bench.plugins.failures.values() if failure.claim == bench.claim] == []

    def test_asking_for_it_imports_nothing_heavy(self, bench: Bench, kit_afar: Afar) -> None:
        """Help and completion load its module each time: what takes long is imported by the method that needs it."""
        imported = kit_afar.imported(bench)["asking for the platform"]
        assert [name for name in imported if name in HEAVY] == []

    def test_no_sdk_is_imported_before_a_job_is_sent(self, bench: Bench, kit_afar: Afar) -> None:
        """None of the packages that its distribution requires, for help or for a plan: an SDK takes seconds, and may
        not be there where somebody only looks.
        """
        sdks = distributions.modules_required(bench.claim.project)
        imported = kit_afar.imported(bench)
        found = {step: sorted(sdks & {*modules}) for step, modules in imported.items()}
        assert {step: names for step, names in found.items() if names} == {}
