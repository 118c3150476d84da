"""What people do from elsewhere: MDL's paths for people, over HTTP, with a token."""

import json
from urllib.parse import quote

from tests.attacks import post
from tests.attacks.plain import Json, Table
from tests.attacks.words import MissingError, unknown


async def over_http(url: str, told: Table, token: str) -> str:
    """Do one thing as whoever has the token; what MDL answers. A wrong token is only cut, never put right.

    Raises:
        MissingError: MDL has no way to do it.
    """
    method, path, body = _request(told)
    headers = {"authorization": f"Bearer {_cut(token, told.get('cut'))}", "content-type": "application/json"}
    if told.get("where") == "query":
        path, headers = f"{path}?access_token={quote(token)}&token={quote(token)}", {"content-type": "application/json"}
    content = b"" if body is None else json.dumps(body).encode()
    answer = await post.ask(url, path, method=method, body=content, headers=headers)
    if unknown(answer.body):
        raise MissingError(answer.body)
    return answer.body


def _request(told: Table) -> tuple[str, str, Json]:
    match told["do"]:
        case "approve" | "deny" as verb:
            return "POST", f"/v1/approvals/{_part(told['action'])}/{verb}", None
        case "stop" | "start" | "pause" | "resume" as verb:
            return "POST", f"/v1/goals/{_part(told['goal'])}/{verb}", None
        case "remove":
            return "DELETE", f"/v1/goals/{_part(told['goal'])}", None
        case "set_goal":
            return "PUT", f"/v1/goals/{_part(told['goal']['id'])}", told["goal"]
        case "reveal":
            return "POST", f"/v1/masks/{_part(told['mask'])}/reveal", None  # there is no such path, and must not be
        case other:
            raise MissingError(f"`{other}` over HTTP")


def _part(text: str) -> str:
    return quote(text, safe="")


def _cut(token: str, how: float | None) -> str:
    if how is None:
        return token
    return token[: len(token) // 2] if how > 0 else token[:-1]
