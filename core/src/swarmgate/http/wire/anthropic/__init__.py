"""Anthropic's Messages: requests into our words, and answers into their shapes.  Pure."""
