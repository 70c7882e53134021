"""``gateway``: the command that all others stand below."""

from __future__ import annotations

import click

from swarmgate.cli.verbs import OpenGroup, Verb, examples

_VERBS = {
    "run": Verb("swarmgate.cli.run", "run", "Serve the configured models over HTTP."),
    "federated": Verb("swarmgate.cli.federated", "federated", "Serve what other gateways serve, with no model here."),
    "worker": Verb("swarmgate.cli.worker", "worker", "Lend this machine to gateways elsewhere."),
    "status": Verb("swarmgate.cli.status", "status", "Show the running gateway, its models, and every node it knows."),
    "peers": Verb("swarmgate.cli.peers", "peers", "Show the members of the swarm and how they are reached."),
    "top": Verb("swarmgate.cli.top", "top", "Watch the running gateway on the whole screen."),
    "chat": Verb("swarmgate.cli.chat", "chat", "Talk to a model of the running gateway."),
    "bench": Verb("swarmgate.cli.bench", "bench", "Put a quick load on the running gateway."),
    "logs": Verb("swarmgate.cli.logs", "logs", "Show what the running gateway logged lately, and logs."),
    "plan": Verb("swarmgate.cli.plan", "plan", "Show where models' layers are, or would go."),
    "models": Verb("swarmgate.cli.models", "models", "List, pull, load, unload and remove models."),
    "token": Verb("swarmgate.cli.token", "token", "Say who may be in this machine's swarm."),
    "drain": Verb("swarmgate.cli.drain", "drain", "Send nothing new to a node of the running gateway."),
    "explain": Verb("swarmgate.cli.explain", "explain", "Show why requests went where they went."),
    "doctor": Verb("swarmgate.cli.doctor", "doctor", "Look for what is wrong, and say what to do."),
    "config": Verb("swarmgate.cli.config", "config", "Write, check and explain the configuration."),
    "plugins": Verb("swarmgate.cli.plugins", "plugins", "Look at what is installed."),
    "version": Verb("swarmgate.cli.version", "version", "Show the versions of everything."),
    "completion": Verb("swarmgate.cli.completion", "completion", "Print a shell's completion script."),
}
#: Other people's words for verbs, understood and not listed: LocalAI v4's.
_ALIASES = {"p2p-worker": "worker"}


@click.group(
    epilog=examples(
        "gateway run --model ~/models/qwen.gguf", "gateway config init && gateway run", "gateway plugins list"
    ),
    cls=OpenGroup,
    verbs=_VERBS,
    aliases=_ALIASES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Serve LLMs over an OpenAI-compatible API, with the machines you own."""
