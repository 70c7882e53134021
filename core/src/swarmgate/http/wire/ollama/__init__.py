"""Ollama's API: requests into our words, and answers into its lines of JSON.  Pure."""
