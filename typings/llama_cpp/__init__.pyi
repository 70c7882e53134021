# llama-cpp-python is compiled on the spot, takes minutes, and types little of what we use: here it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
