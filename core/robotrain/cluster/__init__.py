"""What platforms with a remote engine share: a base class, settings, checks, submits, logs, reasons, outputs."""
