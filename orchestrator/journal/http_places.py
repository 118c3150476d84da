"""Places for checkpoints over HTTP: a webhook, signed as Standard Webhooks, and an object that is put at a URL."""

import base64
from collections.abc import Mapping

import httpx
from standardwebhooks import Webhook

from orchestrator.clock import Clock, utc
from orchestrator.errors import CheckpointError, SettingsError
from orchestrator.journal.checkpoint import Checkpoint

TIMEOUT = 10.0
"""Seconds a place may take to answer."""


class CheckpointWebhook:
    """Posts each checkpoint; its id names journal and position, so that a receiver knows a repetition."""

    def __init__(self, url: str, *, secret: str, clock: Clock) -> None:
        """Post to `url`, signed with `secret` (`whsec_` and base64).

        Raises:
            SettingsError: the secret is none.
        """
        self.name, self._url, self._clock = f"webhook {_host(url)}", url, clock
        try:
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)  # the library drops what does not fit
            self._signer = Webhook(secret)
        except Exception as error:  # whatever is met in a wrong secret, which is not repeated
            raise SettingsError("`journal.checkpoint.webhook.secret` must be `whsec_` and base64") from error

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Post it.

        Raises:
            CheckpointError: nobody took it.
        """
        id_, now, body = f"{checkpoint.journal[:16]}-{checkpoint.position}", self._clock.now(), checkpoint.line
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": self._signer.sign(id_, utc(now), body.decode()),
        }
        await _send("POST", self._url, body, headers)


class CheckpointObject:
    """Puts each checkpoint at a URL, such as a presigned one; `{position}` in it makes one object a checkpoint."""

    def __init__(self, url: str) -> None:
        """Put to `url`."""
        self.name, self._url = f"object at {_host(url)}", url

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Put it.

        Raises:
            CheckpointError: nobody took it.
        """
        await _send("PUT", self._url.replace("{position}", str(checkpoint.position)), checkpoint.line, {})


async def _send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            answer = await client.request(
                method, url, content=body, headers={"content-type": "application/json", **headers}
            )
    except httpx.HTTPError as error:
        raise CheckpointError(f"{_host(url)} took no checkpoint: {error!r:.200}") from error
    if not answer.is_success:
        raise CheckpointError(f"{_host(url)} took no checkpoint: it answered {answer.status_code}")


def _host(url: str) -> str:
    """The part of a URL that is no secret."""
    try:
        return httpx.URL(url).netloc.decode()
    except httpx.InvalidURL as error:
        raise SettingsError("a URL in `[journal.checkpoint]` is none") from error
