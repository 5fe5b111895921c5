"""`python -m bench.correction.polars_pass IN OUT`: one constant shift in polars, streaming."""

import sys

import polars as pl


def main(source: str, target: str) -> None:
    stamp = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")
    shifted = (stamp + pl.duration(milliseconds=1198)).alias("timestamp_topside")
    pl.scan_csv(source).with_columns(shifted).sink_csv(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
