"""The core's own table, ``[gateway]``."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from swarmgate.parts import PATH, SECRET, Options
from swarmgate.split import OnChange, Placement

_PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})"
_ADDRESS = rf"^(\[[0-9A-Fa-f:.]+(%[^\s\[\]]+)?\]|[^:\s\[\]]+):{_PORT}\Z"


class Settings(Options, frozen=True):
    """What the gateway itself can be told; each may also be set as ``GATEWAY_<NAME>``."""

    #: Address and port to serve HTTP on; port 0 takes a free one.
    listen: Annotated[str, Meta(pattern=_ADDRESS, examples=["127.0.0.1:8080"])] = "127.0.0.1:8080"
    #: What this gateway is called among others; the host's name if not given.
    name: Annotated[str, Meta(min_length=1, max_length=200)] = msgspec.field(default_factory=platform.node)
    #: Keys of which a caller must show one; with none (here and in api_key_file), everybody may ask.
    api_keys: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], SECRET] = ()
    #: A file with more such keys, one to a line; empty lines and lines that begin with # do not count.
    api_key_file: Annotated[str, PATH] | None = None
    #: Origins whose web pages may call the gateway, such as "https://chat.example"; "*" means all.
    cors_origins: tuple[str, ...] = ()
    #: How log lines look: for people, or JSON for machines; auto is console, coloured on a terminal.
    log_format: Literal["auto", "console", "json"] = "auto"
    #: The least severe kind of event that is logged.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: Requests that may wait for a free slot; one more is answered with 429.
    queue_limit: Annotated[int, Meta(ge=0)] = 64
    #: Seconds a request may wait for a free slot before it is given up.
    queue_seconds: Annotated[float, Meta(gt=0)] = 60.0
    #: Seconds a begun answer may wait for somebody to go on with it, once its engine has died.
    resume_seconds: Annotated[float, Meta(gt=0)] = 30.0
    #: A balancer that is asked about every request and decides none; how often it agrees is counted in the metrics.
    shadow: str | None = None
    #: So many failures in a row, and a backend is left alone until a trial does well; 0: never.
    breaker_failures: Annotated[int, Meta(ge=0)] = 3
    #: Seconds after which an idle node elsewhere is asked for one token, to see whether it still answers; 0: never.
    canary_seconds: Annotated[float, Meta(ge=0)] = 60.0
    #: Seconds of silence, beyond what a node's speed explains, after which a free one is asked beside it; 0: never.
    hedge_seconds: Annotated[float, Meta(ge=0)] = 30.0
    #: Most of the requests that may be asked twice in that way, as a share.
    hedge_share: Annotated[float, Meta(ge=0, le=1)] = 0.05
    #: Where models go that do not say so themselves: here if they fit and else split, here in any case, or split.
    placement: Placement = "auto"
    #: Most of this machine's memory that models may take together, in megabytes (1,048,576 bytes); unset: what is free.
    memory_mb: Annotated[int, Meta(ge=0)] | None = None
    #: Whether a model is split anew when workers join (and it would be divided otherwise), or kept as it is.
    on_change: OnChange = "reload"
    #: Seconds workers must have stood before a model is split over them; longer for those that come and go.
    settle_seconds: Annotated[float, Meta(ge=0)] = 1.0
    #: Whether this node joins a swarm; it is that of the token given, else that of the token in the state folder, which
    #: `gateway run` makes at its first start.  A token that is given means yes.
    p2p: bool = False
    #: The token of the swarm, or an invite into it; whoever has it is in.
    token: Annotated[str, SECRET] | None = None
    #: A file whose one line is the token or invite: better, since others see neither arguments nor variables then.
    token_file: Annotated[str, PATH] | None = None
    #: Whether gateways that are offered, by whatever discovery, answer requests too.
    federated: bool = False
    #: To how many other gateways a path is held though nobody asks for them; of more, some are drawn, which changes
    #: with time, and the others are reached when somebody does.
    held_gateways: Annotated[int, Meta(ge=1)] = 8
    #: The backend part that asks other gateways.
    peer_backend: Annotated[str, Meta(min_length=1)] = "openai"
    #: A file whose one line is the API key that other gateways (those offered, and --node) are shown.
    peer_api_key_file: Annotated[str, PATH] | None = None
    #: Gateways a request may have come through; one more, and it is taken to go in circles.
    max_hops: Annotated[int, Meta(ge=0)] = 4
    #: Whether answers have the X-Gateway- headers that tell which way they came: worker, attempts, reason, and so on.
    route_headers: bool = True
    #: Requests whose way is remembered after they are over, for `gateway explain`; nothing of what was said is kept.
    kept_requests: Annotated[int, Meta(ge=0, le=100_000)] = 1000
    #: Memory for responses that clients may come back to (`previous_response_id`), with what was said, in megabytes
    #: (1,000,000 bytes); 0 keeps none.
    kept_responses_mb: Annotated[float, Meta(ge=0)] = 64.0
    #: Log events that are remembered, for `gateway logs`; of the kinds that log_level lets through.
    kept_log_events: Annotated[int, Meta(ge=0, le=100_000)] = 1000
    #: Largest request body accepted, in megabytes (1,000,000 bytes).
    max_body_mb: Annotated[float, Meta(gt=0)] = 32.0
    #: Seconds of silence after which a stream sends a comment to show that it lives.
    ping_seconds: Annotated[float, Meta(gt=0)] = 15.0
    #: Seconds that open answers get to finish when the gateway is told to stop.
    drain_seconds: Annotated[float, Meta(ge=0)] = 10.0
    #: Folder for what survives a restart; the user's own state folder if not given.
    state_dir: Annotated[str, PATH] | None = None
    #: Folder of the GGUF files that `gateway models pull` brings and that are named without a path; the folder "models"
    #: of the state folder if not given.
    models_dir: Annotated[str, PATH] | None = None

    def state_path(self) -> Path:
        """Return the folder for what survives a restart; it need not exist yet."""
        if self.state_dir is not None:
            return Path(self.state_dir)
        from platformdirs import user_state_path

        return user_state_path("swarmgate", appauthor=False)

    def models_path(self) -> Path:
        """Return the folder of the models that are told by name; it need not exist yet."""
        return self.state_path() / "models" if self.models_dir is None else Path(self.models_dir)
