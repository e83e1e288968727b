"""Shared code of platforms with a remote engine: base class, settings, checks, submits, reasons, outputs."""
