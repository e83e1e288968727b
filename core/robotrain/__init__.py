"""robotrain: describe a robot-learning job once, run it on any platform that declares it can."""

__version__ = "0.1.0"
