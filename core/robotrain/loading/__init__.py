"""Loading plugins and calling them: each by itself, so that what one does wrong is told of that one alone."""
