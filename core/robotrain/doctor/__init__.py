"""`robotrain doctor`: what would stop a submit here, and how to mend it. One module a thing to look at."""
