"""The estimator and its peers on recordings of real exchanges whose truth is known."""
