"""What the lock beside this file pins, in the places that a person is told of."""

LEROBOT = "0.6.1"
LEROBOT_SERIES = "0.6"
PYTHON = "3.12"
PLATFORM = "Linux-x86_64"
GIB = 9.0
