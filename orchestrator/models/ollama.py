"""A model behind Ollama's own HTTP API. Loads httpx: imported only by `doors/build.py` and by tests.

API: https://github.com/ollama/ollama/blob/main/docs/api.md. The `/v1` route knows no `num_ctx` and no `keep_alive`, so
`/api/chat` is used. A prompt that does not fit is refused on both sides (`truncate: false`, and our own estimate):
by default Ollama cuts it and answers 200.
"""

import asyncio
from time import perf_counter

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from orchestrator.clock import Clock
from orchestrator.errors import ModelError
from orchestrator.models.circuit import Circuit
from orchestrator.models.model import Reply
from orchestrator.settings import ModelSettings
from orchestrator.types import Json

_BYTES_PER_TOKEN = 4
_BUSY = {429, 502, 503, 504}
_MISSING = 404
_WORTH_DOUBTING = 256


class _Down(ModelError):  # noqa: N818  a state, and never leaves this file by name
    """The server or the model is not there, whatever is asked: the circuit counts it."""


class _Busy(Exception):  # noqa: N818  never leaves this file
    """The server asks to come back later."""


class _Message(BaseModel):
    content: str = ""


class _Chat(BaseModel):
    message: _Message
    done_reason: str | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0


class _Tag(BaseModel):
    name: str


class _Tags(BaseModel):
    models: list[_Tag]


class _Version(BaseModel):
    version: str


class Ollama:
    """One model of one Ollama server, asked one question at a time unless told otherwise."""

    def __init__(
        self, settings: ModelSettings, *, clock: Clock, num_predict: int = 512, in_flight: int = 1, waiting: int = 16
    ) -> None:
        """Connects to nothing yet.

        Args:
            settings: `name` as `ollama list` shows it; `timeout` holds for one answer with all waiting and retrying.
            clock: for the circuit that leaves a dead server alone.
            num_predict: tokens the answer may have; never more than a quarter of `num_ctx`.
            in_flight: questions asked at the same time.
            waiting: questions that may wait for their turn; more are refused.
        """
        self.name = f"ollama/{settings.name}"
        self._model, self._url, self._timeout = settings.name, settings.url.rstrip("/"), settings.timeout
        self._num_ctx, self._keep_alive = settings.num_ctx, settings.keep_alive
        self._num_predict = min(num_predict, settings.num_ctx // 4)
        self._places, self._waiting, self._most = asyncio.Semaphore(in_flight), 0, in_flight + waiting
        self._circuit = Circuit(clock)
        # the environment's proxies are for the world outside; the URL says where the model is
        self._client = httpx.AsyncClient(base_url=self._url, timeout=self._timeout, trust_env=False)

    async def ask(self, *, system: str, user: str, schema: dict[str, Json]) -> Reply:
        """Ask once, constrained to the schema, at temperature 0.

        Raises:
            ModelError: away, too slow, missing, busy, or the prompt does not fit; says how to mend it.
        """
        tokens = self._estimate(system, user)
        self._refuse_when_open()
        if self._waiting >= self._most:
            raise ModelError(
                f"{self._waiting} questions already wait for {self.name}; it is too slow for so many events"
            )
        self._waiting += 1
        try:
            reply = await self._in_turn(self._body(system, user, schema))
        except _Down:
            self._circuit.failed()
            raise
        finally:
            self._waiting -= 1
        self._circuit.succeeded()
        return self._checked(reply, tokens)

    async def check(self) -> str:
        """See that the server answers and has the model.

        Returns:
            The server's version.

        Raises:
            ModelError: it does not; says how to mend it.
        """
        try:
            version = _Version.model_validate_json((await self._client.get("/api/version")).content)
            tags = _Tags.model_validate_json((await self._client.get("/api/tags")).content)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        except ValidationError as error:
            raise ModelError(f"what answers at {self._url} is no Ollama server") from error
        if not {tag.name for tag in tags.models} & {self._model, f"{self._model}:latest"}:
            raise self._absent()
        return version.version

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    def _estimate(self, system: str, user: str) -> int:
        tokens = (len(system.encode()) + len(user.encode())) // _BYTES_PER_TOKEN
        if tokens + self._num_predict > self._num_ctx:
            raise ModelError(
                f"the prompt has about {tokens} tokens and does not fit num_ctx = {self._num_ctx} of {self.name}; "
                "raise `num_ctx` in `[model]`, or offer the goal fewer tools"
            )
        return tokens

    def _refuse_when_open(self) -> None:
        if wait := self._circuit.wait():
            raise ModelError(f"{self.name} failed three times in a row; it is asked again in {wait:.0f} s")

    def _body(self, system: str, user: str, schema: dict[str, Json]) -> dict[str, Json]:
        return {
            "model": self._model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "format": schema,
            "options": {"temperature": 0, "num_ctx": self._num_ctx, "num_predict": self._num_predict},
            "keep_alive": self._keep_alive,
            "truncate": False,
            "stream": False,
        }

    async def _in_turn(self, body: dict[str, Json]) -> tuple[_Chat, float]:
        try:
            async with asyncio.timeout(self._timeout), self._places:
                self._refuse_when_open()  # it may have died while this question waited
                begun = perf_counter()
                return await self._patiently(body), perf_counter() - begun
        except TimeoutError as error:
            raise _Down(
                f"{self.name} gave no answer within {self._timeout:g} s; see `ollama ps`, or raise `timeout`"
            ) from error
        except httpx.HTTPError as error:
            raise self._away(error) from error

    async def _patiently(self, body: dict[str, Json]) -> _Chat:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Busy), wait=wait_exponential(multiplier=0.1, max=4), reraise=True
        )
        return await retrying(self._once, body)

    async def _once(self, body: dict[str, Json]) -> _Chat:
        response = await self._client.post("/api/chat", json=body)
        if response.status_code in _BUSY:
            raise _Busy
        if response.status_code == _MISSING:
            raise self._absent()
        if response.is_server_error:
            raise _Down(
                f"{self.name} answered {response.status_code}: {_said(response)}; see the log of `ollama serve`"
            )
        if response.is_error:
            raise ModelError(f"{self.name} refused the question ({response.status_code}): {_said(response)}")
        try:
            return _Chat.model_validate_json(response.content)
        except ValidationError as error:
            raise _Down(f"what answers at {self._url} is no Ollama server: {_said(response)}") from error

    def _checked(self, answer: tuple[_Chat, float], tokens: int) -> Reply:
        chat, seconds = answer
        if chat.done_reason == "length":
            raise ModelError(f"{self.name} did not finish within {self._num_predict} tokens")
        # 0 means not counted: older servers leave it out for a cached prompt
        if tokens > _WORTH_DOUBTING and 0 < chat.prompt_eval_count < tokens // 2:
            raise ModelError(
                f"{self.name} read {chat.prompt_eval_count} of about {tokens} tokens: it cut the prompt; "
                "update Ollama, or raise `num_ctx` in `[model]`"
            )
        return Reply(chat.message.content, chat.prompt_eval_count, chat.eval_count, seconds)

    def _away(self, error: httpx.HTTPError) -> _Down:
        reason = str(error) or type(error).__name__
        return _Down(f"no Ollama answers at {self._url} ({reason}); start it with `ollama serve`")

    def _absent(self) -> _Down:
        return _Down(f"{self._url} has no model `{self._model}`; fetch it with `ollama pull {self._model}`")


def _said(response: httpx.Response) -> str:
    return response.text[:200].replace("\n", " ")
