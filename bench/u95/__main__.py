"""`python -m bench.u95`: how often u95 holds."""

from bench.u95.run import main

if __name__ == "__main__":
    main()
