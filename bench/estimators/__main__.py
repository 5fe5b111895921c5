"""`python -m bench.estimators`: the estimator beside its peers on simulated traces."""

from bench.estimators.run import main

if __name__ == "__main__":
    main()
