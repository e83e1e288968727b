"""What platforms with a remote engine share: submission spec, submit note, settings, cancel, reasons of a status."""
