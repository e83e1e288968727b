"""What `robotrain init` writes for `isaac-train`, and its examples."""

from pathlib import Path

PARAMETERS = {
    "task": "Isaac-Velocity-Rough-Anymal-C-v0",
    "backend": "skrl",
    "num_envs": None,
    "max_iterations": None,
    "seed": None,
    "register_checkpoint": None,
}
EXAMPLES = {"isaac-cartpole": Path(__file__).parents[1] / "examples/isaac-cartpole"}
