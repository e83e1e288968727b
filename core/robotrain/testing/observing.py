"""How a run is, and its end."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from robotrain.problem import Rejected
from robotrain.run import Output, Reference, State
from robotrain.testing.bench import Bench, Run
from robotrain.testing.in_time import in_time
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.verdict import nothing_in

UNHEARD_OF = "KitUnheardOf"
STEP = 40


class Observing(OnABench):
    """`status`, `cancel`, `outputs`, `register` and `shown`."""

    def test_every_native_state_has_its_meaning(self, bench: Bench) -> None:
        """What the engine says is one of the six states that everybody knows. A word that nobody heard of is no end: a
        newer engine may have it, and the reason says it.
        """
        assert bench.world.natives, "the world says no native words: what the platform makes of them is not tried"
        assert {*bench.world.natives.values()} <= {*get_args(State)}
        natives = bench.words("pending", "running", "succeeded", "failed", "cancelled", "lost")
        nothing_in(_wrong_states(bench, bench.sent().reference, natives))

    def test_a_run_that_nobody_knows_is_said_to_be_gone(self, bench: Bench) -> None:
        """A reference of something else is answered with `Rejected` (`RunGone`), never with a state."""
        reference = bench.sent().reference
        with pytest.raises(Rejected):
            bench.platform.status({name: f"{text}-kit" for name, text in reference.items()})

    def test_cancel_can_be_said_twice(self, bench: Bench) -> None:
        """Who does not know whether the first one arrived says it again, of a run that waits and of one that runs."""
        bench.needs("cancel")
        running = [native for native, state in bench.world.natives.items() if state == "running"]
        for native in ("", *running[:1]):
            run = bench.sent()
            if native:
                bench.world.becomes(run.reference, native)
            self._cancel(bench, run)

    def _cancel(self, bench: Bench, run: Run) -> None:
        for _ in range(2):
            answer = in_time(lambda: bench.of_run("cancel", run.name), "cancel")
            assert answer.exit_code == 0, answer.told
        in_time(lambda: bench.platform.cancel(run.reference), "cancel")
        assert bench.platform.status(run.reference).state not in ("succeeded", "failed")

    def test_cancel_leaves_a_run_that_ended_as_it_is(self, bench: Bench) -> None:
        """It stays what it was, and nothing is wrong with having asked."""
        bench.needs("cancel")
        native = bench.words("succeeded", "failed")[0]
        run = bench.sent()
        bench.world.becomes(run.reference, native)
        in_time(lambda: bench.platform.cancel(run.reference), "cancel")
        assert bench.platform.status(run.reference).state == bench.world.natives[native]

    def test_a_run_that_was_just_sent_left_nothing(self, bench: Bench) -> None:
        """`outputs` answers at once and names no checkpoint; `register` refuses in words; what is shown is text."""
        run = bench.sent()
        left = in_time(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        assert all(isinstance(one, Output) for one in left)
        assert [one.name for one in left if one.kind == "checkpoint"] == []
        if bench.platform.capabilities.feature("register_model"):
            with pytest.raises(Rejected):
                bench.platform.register(run.reference, "kit-model", None)
        if shown := getattr(bench.platform, "shown", None):
            assert all(isinstance(part, str) for pair in dict(shown(run.reference)).items() for part in pair)

    def test_a_checkpoint_that_a_run_left_is_brought(self, bench: Bench, tmp_path: Path) -> None:
        """`outputs` names it with its step, and `bring` copies all of it to a folder of its own."""
        run, to = bench.sent(), tmp_path / "kit-brought"
        if not (files := bench.world.leaves(run.reference, STEP)):
            pytest.skip("the world lets no run leave a checkpoint")
        left = in_time(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        checkpoints = [one for one in left if one.kind == "checkpoint"]
        assert [one.step for one in checkpoints] == [STEP]
        in_time(lambda: bench.platform.bring(run.reference, checkpoints[0], to), "bring")
        brought = {path: (to / path).read_bytes() for path in files if (to / path).is_file()}
        assert brought == files


def _wrong_states(bench: Bench, reference: Reference, natives: list[str]) -> Iterator[str]:
    for native in natives:
        bench.world.becomes(reference, native)
        said, meant = bench.platform.status(reference), bench.world.natives[native]
        if said.state != meant:
            yield f"{native} is {said.state}, and means {meant}"
    if bench.world.only_natives:
        return
    bench.world.becomes(reference, UNHEARD_OF)
    status = bench.platform.status(reference)
    if status.finished:
        yield f"{UNHEARD_OF}, which nobody knows, is {status.state}"
    if UNHEARD_OF.lower() not in status.reason.lower():
        yield f"the reason of {UNHEARD_OF} does not say it: {status.reason!r}"
