"""The published contract, made from the code: JSON Schemas, AsyncAPI, OpenAPI, and a table's schema."""
