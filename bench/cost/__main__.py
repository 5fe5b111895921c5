"""python -m bench.cost"""

from bench.cost.run import main

if __name__ == "__main__":
    main()
