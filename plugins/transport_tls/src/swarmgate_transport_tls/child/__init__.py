"""The forwarding child: TLS on one side, loopback on the other.  It runs on asyncio, with uvloop where there is one.

Nothing here is imported by the gateway's own process but the words of a connection, for tests.
"""
