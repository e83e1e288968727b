"""What a person says arrives as it was said."""

from typing import Any

from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench

VALUES: dict[str, tuple[str, Any]] = {
    "kit_note": ("--kit-note=two words", "two words"),
    "kit_nickname": ("--kit-nickname=ü 機", "ü 機"),
    "kit_steps": ("--kit-steps=12345", 12345),
    "kit_rate": ("--kit-rate=1e-7", 1e-7),
    "kit_fast": ("--kit-fast", True),
    "kit_mode": ("--kit-mode=fancy", "fancy"),
    "kit_table": ("--kit-table=a=1,b=two", "a=1,b=two"),
}
ARGUMENTS = ("--policy.chunk_size=16", "plain", "--flag", "--flag", "", "--two=a b", "--", "-x")


class Carrying(OnABench):
    """Parameters and arguments of the trainer."""

    def test_every_parameter_arrives_as_given(self, bench: Bench) -> None:
        """Texts, numbers, switches and choices, of their own type."""
        bench.needs_own_workload()
        document = bench.arrived(bench.render(*(word for word, _ in VALUES.values())))
        wanted = {name: value for name, (_, value) in VALUES.items()}
        assert {name: document.parameters.get(name) for name in wanted} == wanted
        assert {name: type(document.parameters.get(name)) for name in wanted} == {
            name: type(value) for name, value in wanted.items()
        }

    def test_every_workload_arrives_with_all_its_parameters(self, bench: Bench) -> None:
        """Those that nobody said, too: the runtime has no defaults of its own."""
        for name, workload in bench.plugins.workloads().items():
            if bench.platform.capabilities.workload(name):
                document = bench.arrived(bench.render(workload=workload))
                assert dict(document.parameters) == dict(bench.plans[-1].job.parameters), name

    def test_arguments_of_the_trainer_arrive_in_their_order(self, bench: Bench) -> None:
        """Each as it is: empty ones, repeated ones, and those with spaces."""
        document = bench.arrived(bench.render(*bench.first_source(), "--", *ARGUMENTS))
        assert document.trainer_args == ARGUMENTS
