"""`python -m bench.correction.pandas_pass IN OUT`: one constant shift in pandas, chunk by chunk."""

import sys
from pathlib import Path

import pandas as pd

CHUNK = 250_000
SHIFT = pd.Timedelta(milliseconds=1198)


def main(source: str, target: str) -> None:
    with Path(target).open("w", newline="") as out:
        for number, chunk in enumerate(pd.read_csv(source, chunksize=CHUNK)):
            chunk["timestamp_topside"] = pd.to_datetime(chunk["timestamp"], format="ISO8601") + SHIFT
            chunk.to_csv(out, index=False, header=number == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
