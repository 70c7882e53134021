"""The front door: OpenAI's HTTP API in front of the dispatcher."""
