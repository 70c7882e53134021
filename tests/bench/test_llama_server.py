from __future__ import annotations

from pathlib import Path

from sidebyside.llama_server import engine_recipe, server_recipe

ROOT = Path(__file__).resolve().parents[2]


def test_the_server_is_built_with_the_engines_flags() -> None:
    """What the engine's wheel is built with, the server has, too: both have RPC."""
    engine = engine_recipe(ROOT / "pyproject.toml")
    assert engine.flags["GGML_RPC"] == "ON"
    server = server_recipe(engine)
    assert server.folder == engine.folder
    different = {name for name, value in engine.flags.items() if server.flags.get(name, value) != value}
    assert different <= {f"LLAMA_BUILD_{part}" for part in ("COMMON", "TOOLS", "SERVER")}
    compiled = {name for name in engine.flags if name.startswith(("GGML_", "LLAMA_"))}
    assert compiled <= server.flags.keys()
    assert server.flags["LLAMA_BUILD_UI"] == server.flags["LLAMA_USE_PREBUILT_UI"] == "OFF"
