"""`python -m robotrain`."""

from robotrain.cli import main

main()
