"""Work of several nodes together: how their processes are started, find one another, and end."""
