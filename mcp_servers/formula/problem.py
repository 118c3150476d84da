"""An HTTP answer of 400 and above: RFC 9457 problem details, with one line for the reader in `detail`."""

from http import HTTPStatus

import msgspec


class Problem(Exception):  # noqa: N818  named as the RFC does
    """Ends a request with problem details."""

    def __init__(self, status: int, detail: str, *, allow: str | None = None) -> None:
        """An HTTP status, whose phrase is the title; one line for the reader; the methods that a 405 allows."""
        super().__init__(detail)
        self.status, self.allow = status, allow
        self.body = msgspec.json.encode({"title": HTTPStatus(status).phrase, "status": status, "detail": detail})
