"""What the HTTP interface answers of a session's products: models of its OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidesync.dashboard.products.folder import Kind
from tidesync.dashboard.views import RequestBody, View

ProductState = Literal["absent", "waiting", "making", "ready"]


class ProductFile(View):
    """A file that was made."""

    name: str = Field(description="Its path below the product's folder; the address of the file ends in it")
    bytes: int


class ProductView(View):
    """One product of a session."""

    kind: Kind
    state: ProductState
    progress: float | None = Field(description="While it is made: the part that is done, 0 to 1")
    problem: str | None = Field(
        description="Why it was not made, or not wholly, when it was last tried since the dashboard started"
    )
    made_unix_s: float | None = Field(description="By the clock of the dashboard's computer")
    files: tuple[ProductFile, ...]


class ProductsView(View):
    """What can be made of a stopped session, and was."""

    session: str
    products: tuple[ProductView, ...]


class MakeProduct(RequestBody):
    """Make a product, or make it again."""
