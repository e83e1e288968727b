"""What platforms with a remote engine share: checks, submission spec, submit note, settings, cancel, status reasons."""
