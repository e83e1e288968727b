"""The environment that data and policies are fetched in: small and built in seconds, where training's takes minutes."""

from pathlib import Path

from robotrain_runtime.half import Environment

ENVIRONMENT = Environment(lock=Path(__file__).parent / "locks" / "data.txt", python="3.10-3.14", gib=0.2)
