"""What platforms with a remote engine share: a base class, checks, notes and specs, settings, reasons, outputs."""
