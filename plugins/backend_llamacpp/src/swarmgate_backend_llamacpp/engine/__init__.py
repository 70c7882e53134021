"""The engine: a process of its own that loads one model and answers by frames."""
