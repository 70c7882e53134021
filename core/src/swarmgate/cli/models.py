"""``gateway models``: what is served and what lies in the models folder, and how models come and go."""

from __future__ import annotations

import click

from swarmgate.cli.verbs import LazyGroup, Verb, examples

_VERBS = {
    "list": Verb("swarmgate.cli.listing_models", "listing", "Show what is served, and what lies in the models folder."),
    "pull": Verb("swarmgate.cli.pulling_models", "pull", "Bring a model into the models folder."),
    "load": Verb("swarmgate.cli.loading_models", "load", "Load a model in the running gateway."),
    "unload": Verb("swarmgate.cli.loading_models", "unload", "Free the memory and workers of a model."),
    "rm": Verb("swarmgate.cli.removing_models", "remove", "Delete a model from the models folder."),
}


@click.group(
    cls=LazyGroup,
    verbs=_VERBS,
    epilog=examples(
        "gateway models list",
        "gateway models pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "gateway models load Llama-3.2-1B-Instruct-Q4_K_M",
    ),
)
def models() -> None:
    """List, pull, load, unload and remove models.

    The models folder is `models_dir` of the configuration, else the folder "models" of the state folder.  What is
    loaded at run time is not loaded again at the next start: for that name it in the configuration, or with
    `gateway run --model NAME`.
    """
