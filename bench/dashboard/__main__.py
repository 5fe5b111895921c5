"""`python -m bench.dashboard`: what the dashboard costs, measured and written down."""

from bench.dashboard.run import main

if __name__ == "__main__":
    main()
