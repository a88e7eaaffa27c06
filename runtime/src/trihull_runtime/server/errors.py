"""Errors that an inference request can meet; none carries an HTTP status (that is `app`'s).

RequestError        the request is not what the protocol or the model's signature asks for
UnknownModelError   no such model, or not that version of it
ModelRunError       the model itself failed on a valid request
OverloadedError     more requests are in flight than the server takes
"""


class RequestError(Exception):
    """The request is not what the protocol or the model's signature asks for; the message names the place."""


class UnknownModelError(Exception):
    """No such model, or not that version of it."""


class ModelRunError(Exception):
    """The model itself failed on a valid request."""


class OverloadedError(Exception):
    """More requests are in flight than the server takes; `retry_after_s` says when to come again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        """Keep the delay beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
