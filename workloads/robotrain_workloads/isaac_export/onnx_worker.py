"""Run an exported ONNX policy for another process: `python onnx_worker.py POLICY_ONNX`.

It runs in the run's own environment, for the program in Isaac Lab's Python, which has no ONNX Runtime. On its
input come messages of a letter, a number n and bytes: `A`, n observations (float32); `R`, n flags (uint8) of the
environments whose state is forgotten. Each `A` is answered with the seconds that it took (float64), the number of
actions (uint32) and the actions (float32).
"""

import importlib
import struct
import sys
import time
from pathlib import Path
from typing import Any

HEADER = struct.Struct("<cI")


class OnnxPolicy:
    """A policy that keeps its hidden states. A file for one observation at a time runs once for each."""

    def __init__(self, file: Path) -> None:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        observations, *states = self._session.get_inputs()
        self._input, self.observations = observations.name, int(observations.shape[1])
        self._is_batched = observations.shape[0] != 1
        self._shapes = {state.name: (int(state.shape[0]), int(state.shape[2])) for state in states}
        self._states: dict[str, Any] = {}

    def act(self, observations: Any) -> Any:
        """Return the actions; another number of environments starts anew."""
        numpy: Any = importlib.import_module("numpy")
        number = len(observations)
        if self._shapes and next((state.shape[1] for state in self._states.values()), -1) != number:
            self._states = {
                name: numpy.zeros((layers, number, size), "float32") for name, (layers, size) in self._shapes.items()
            }
        step = number if self._is_batched else 1
        action_parts = [self._run(observations, slice(index, index + step)) for index in range(0, number, step)]
        return numpy.concatenate(action_parts)

    def _run(self, observations: Any, part: slice) -> Any:
        """Return the actions of some environments, and keep their states."""
        states = {name: state[:, part] for name, state in self._states.items()}
        actions, *new_states = self._session.run(None, {self._input: observations[part], **states})
        for name, state in zip(self._shapes, new_states, strict=True):
            self._states[name][:, part] = state
        return actions

    def reset(self, done: Any) -> None:
        """Forget the states of some environments."""
        for state in self._states.values():
            state[:, done] = 0.0


def main(file: str) -> None:
    """Answer until the input ends."""
    numpy: Any = importlib.import_module("numpy")
    policy = OnnxPolicy(Path(file))
    input_stream, output_stream = sys.stdin.buffer, sys.stdout.buffer
    while header := input_stream.read(HEADER.size):
        kind, count = HEADER.unpack(header)
        if kind == b"R":
            policy.reset(numpy.frombuffer(input_stream.read(count), "uint8").astype(bool))
            continue
        observation_bytes = input_stream.read(4 * count * policy.observations)
        observations = numpy.frombuffer(observation_bytes, "float32").reshape(count, policy.observations)
        start_time = time.perf_counter()
        actions = policy.act(observations)
        seconds = time.perf_counter() - start_time
        output_stream.write(struct.pack("<dI", seconds, actions.shape[1]) + actions.astype("float32").tobytes())
        output_stream.flush()


if __name__ == "__main__":
    main(sys.argv[1])
