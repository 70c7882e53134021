"""Measures the gateway beside llama-server: same model, same settings, turn about."""
