"""OpenAI's Responses: items to our words, and deltas to items and events; pure."""
