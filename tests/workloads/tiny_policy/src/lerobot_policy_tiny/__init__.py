"""A policy that somebody else wrote: two layers that read the state alone."""

from .configuration_tiny import TinyConfig as TinyConfig
