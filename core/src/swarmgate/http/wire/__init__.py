"""OpenAI's JSON shapes to and from the words of :mod:`swarmgate.chat`.  Pure: no I/O, no clocks, no loop."""
