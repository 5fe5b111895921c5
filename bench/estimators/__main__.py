"""python -m bench.estimators"""

from bench.estimators.run import main

if __name__ == "__main__":
    main()
