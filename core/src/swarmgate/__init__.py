"""Swarmgate: the machines people own, as one OpenAI-compatible LLM server."""
