"""Run an exported ONNX policy for another process: `python onnx_worker.py POLICY_ONNX`.

It runs in the run's own environment, for the program in Isaac Lab's Python, which has no ONNX Runtime. On its
input come messages of a letter, a number n and bytes: `A`, n observations (float32); `R`, n flags (uint8) of the
environments whose state is forgotten. Each `A` is answered with the seconds that it took (float64) and the actions
(float32).
"""

import importlib
import struct
import sys
import time
from pathlib import Path
from typing import Any

HEADER = struct.Struct("<cI")


class OnnxPolicy:
    """A policy that keeps its hidden states."""

    def __init__(self, file: Path) -> None:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        inputs = self._session.get_inputs()
        self.observations = int(inputs[0].shape[1])
        self._shapes = {one.name: (int(one.shape[0]), int(one.shape[2])) for one in inputs[1:]}
        self._states: dict[str, Any] = {}

    def act(self, observations: Any) -> Any:
        """Return the actions; another number of environments starts anew."""
        numpy: Any = importlib.import_module("numpy")
        if self._shapes and next((one.shape[1] for one in self._states.values()), -1) != len(observations):
            self._states = {
                name: numpy.zeros((layers, len(observations), size), "float32")
                for name, (layers, size) in self._shapes.items()
            }
        actions, *states = self._session.run(None, {"obs": observations, **self._states})
        self._states = dict(zip(self._shapes, states, strict=True))
        return actions

    def reset(self, done: Any = None) -> None:
        """Forget the states of some environments, or of all."""
        if done is None:
            self._states = {}
        for state in self._states.values():
            state[:, done] = 0.0


def main(file: str) -> None:
    """Answer until the input ends."""
    numpy: Any = importlib.import_module("numpy")
    policy = OnnxPolicy(Path(file))
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while header := read.read(HEADER.size):
        kind, count = HEADER.unpack(header)
        if kind == b"R":
            policy.reset(numpy.frombuffer(read.read(count), "uint8").astype(bool))
            continue
        content = read.read(4 * count * policy.observations)
        observations = numpy.frombuffer(content, "float32").reshape(count, policy.observations)
        began = time.perf_counter()
        actions = policy.act(observations)
        write.write(struct.pack("<d", time.perf_counter() - began) + actions.astype("float32").tobytes())
        write.flush()


if __name__ == "__main__":
    main(sys.argv[1])
