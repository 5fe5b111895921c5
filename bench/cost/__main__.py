"""`python -m bench.cost`: what an exchange costs, measured and written down."""

from bench.cost.run import main

if __name__ == "__main__":
    main()
