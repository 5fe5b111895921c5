"""`python -m bench.real`."""

from bench.real.run import main

main()
