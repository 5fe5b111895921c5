"""The attack tables of docs/security.md, made from runs of the tests that attack."""
