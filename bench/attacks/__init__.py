"""The attack table of docs/security.md, made from a run of tests/containers/test_attacks.py."""
