"""libp2p for a swarm: tunnels, a ledger by gossip, and finding others by DHT."""
