"""`python -m bench.peers`: the whole measurement beside the real peers."""

from bench.peers.run import main

if __name__ == "__main__":
    main()
