"""Generates the published contract from the code: JSON Schemas, AsyncAPI, OpenAPI, a table schema."""
