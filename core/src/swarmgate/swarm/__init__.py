"""Who belongs to a swarm, what they may do in it, and what they say to one another about it."""
