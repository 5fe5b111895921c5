"""python -m bench.dashboard"""

from bench.dashboard.run import main

if __name__ == "__main__":
    main()
