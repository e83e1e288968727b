"""`robotrain data view`: what its page shows is collected by a child process, and rendered by the CLI's own."""
