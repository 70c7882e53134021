"""The process that serves llama.cpp's RPC: ``python -m swarmgate_backend_llamacpp.rpc``."""

from __future__ import annotations

from swarmgate_backend_llamacpp.rpc.server import main

if __name__ == "__main__":
    main()
