"""What goes wrong, as OpenAI's API tells it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from create_llm.errors import ConfigError, CreateLLMError, DataError, is_out_of_memory
from create_llm.models.sampling import Sampling

TOO_LONG = "context_length_exceeded"


class ApiError(Exception):
    """An error for the client.

    Args:
        status: of HTTP.
        message: what happened, in plain words.
        code: for programs, as OpenAI spells it where it has one.
        param: the part of the request that is wrong.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self._headers = headers

    def body(self) -> dict[str, object]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self._headers)


def problem_of(error: Exception) -> ApiError:
    """An error of ours in the API's form; of a bug it tells nothing but that there is one."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ConfigError | DataError):
        return ApiError(400, error.what, param=_param(error))
    if is_out_of_memory(error):
        return ApiError(503, "the machine ran out of memory", code="out_of_memory")
    return ApiError(500, "the server failed at this; its log says how", code="internal_error")


def _param(error: CreateLLMError) -> str | None:
    """What the request calls the field of `Sampling` that an error names."""
    if error.where not in Sampling.__dataclass_fields__:
        return None
    return "max_tokens" if error.where == "max_new_tokens" else error.where
