"""TLS 1.3 tunnels between the members of a swarm."""
