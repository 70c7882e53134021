"""A libp2p host fit for use: py-libp2p 0.8.1 with its faults mended from outside, by subclasses and nothing patched.

:func:`swarmgate_transport_libp2p.child.mended.host.open_host` opens one.  ``docs/decisions/0024-mending-libp2p.md``
says which fault each room mends.  Only the child imports these rooms: most of them import libp2p.
"""
