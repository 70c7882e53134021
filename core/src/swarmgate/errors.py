"""Everything the gateway raises on purpose.

* :exc:`SwarmgateError`
    * :exc:`ConfigError` -- the operator's configuration is wrong; every fault in one error
    * :exc:`PluginError` -- an installed plugin would not load or broke its contract
    * :exc:`WireError` -- bytes from a child or a peer break the protocol
    * :exc:`RequestError` -- the caller asked for something that cannot be (400)
        * :exc:`UnknownModel` (404)
        * :exc:`ContextExceeded`
        * :exc:`Unsupported` -- the model lacks the ability asked for
        * :exc:`Unauthorized` (401)
        * :exc:`Conflict` -- the state of what it is about forbids it (409)
    * :exc:`QueueFull` -- too many wait already; come back later (429)
    * :exc:`Unavailable` -- right question, nobody to answer it now (503)
        * :exc:`Starting` -- an engine is loading its model
        * :exc:`NoCandidate` -- every backend that serves the model is out
            * :exc:`NotLoaded` -- an operator unloaded the model
    * :exc:`Unreachable` -- a node is known but no path to it can be opened (502)
    * :exc:`EngineError` -- a backend took the work and failed it (502)
        * :exc:`Hung` -- it took the work and says nothing
    * :exc:`LoadFailed` -- a model that was asked for cannot be loaded (500)
    * :exc:`PullError` -- a model cannot be brought into the models folder
    * :exc:`LoopDetected` -- a request goes in circles between gateways (508)

Every class says which HTTP status, OpenAI ``type`` and ``code`` it becomes; only
:mod:`swarmgate.http.faults` acts on them.  Messages are lower case without a full stop: what was
expected, what was found, and the remedy if there is one.
"""

from __future__ import annotations

from typing import ClassVar


class SwarmgateError(Exception):
    """Base of every error the gateway raises on purpose."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = "internal_error"


class ConfigError(SwarmgateError):
    """The configuration cannot be used; the message has one line per fault."""

    code = "config_error"


class PluginError(SwarmgateError):
    """An installed plugin cannot be loaded or broke its contract."""

    code = "plugin_error"


class WireError(SwarmgateError):
    """Bytes from the other side break the protocol: too large, or not what was agreed."""

    code = "wire_error"


class RequestError(SwarmgateError):
    """The request itself is at fault; *param* names the field, if one is to blame."""

    status = 400
    type = "invalid_request_error"
    code = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModel(RequestError):
    """No backend serves the named model."""

    status = 404
    code = "model_not_found"


class ContextExceeded(RequestError):
    """The prompt (and what was asked to follow it) does not fit the model's context."""

    code = "context_length_exceeded"


class Unsupported(RequestError):
    """The model exists but cannot do what was asked, such as embed."""

    code = "unsupported"


class Unauthorized(RequestError):
    """API keys are configured and the request carries none of them."""

    status = 401
    code = "invalid_api_key"


class Conflict(RequestError):
    """What is asked for cannot be done as things stand; the message says what has to happen first."""

    status = 409
    code = "conflict"


class QueueFull(SwarmgateError):
    """As many requests wait as may wait; *retry_after* is a guess in seconds."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(SwarmgateError):
    """Nobody can answer at the moment; trying again in *retry_after* seconds may help."""

    status = 503
    type = "service_unavailable"
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Starting(Unavailable):
    """An engine is still loading its model, or is being restarted."""

    code = "model_loading"


class NoCandidate(Unavailable):
    """Every backend that serves the model has been tried, or is out."""

    code = "no_candidate"


class NotLoaded(NoCandidate):
    """The model is known and was unloaded: it answers again once somebody loads it."""

    code = "model_not_loaded"


class Unreachable(SwarmgateError):
    """A node is known but no path to it can be opened."""

    status = 502
    code = "unreachable"


class EngineError(SwarmgateError):
    """A backend took the work and failed it."""

    status = 502
    code = "engine_error"


class Hung(EngineError):
    """A backend took the work, and nothing comes of it: it was given up, not heard of."""


class LoadFailed(SwarmgateError):
    """A model that was asked for cannot be loaded, however often it is tried; the message says why."""

    code = "model_load_failed"


class PullError(SwarmgateError):
    """A model cannot be brought into the models folder; the message says why, and what is kept of it."""

    code = "pull_failed"


class LoopDetected(SwarmgateError):
    """A request has come through this gateway before, or through too many; the message says which."""

    status = 508
    code = "loop_detected"


#: Failures that say nothing about the request, so that another backend may fare better.
PASSING = (EngineError, Unavailable, Unreachable)
