"""What libp2p imports and no member uses, left out of this process: it starts in half the time, and in less memory.

Each of py-libp2p's packages imports all that it has: QUIC, WebSockets and TLS come with the first peer id.  So its
packages are opened without their ``__init__``, which is made up for when a name is asked for that only that one has;
and in the place of what is named here stands something from which anything may be imported, and which refuses to be
used.  :func:`leave_out` goes before the first import of libp2p, of the very version that this was made for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

#: What is left out with all that stands below it.
OMITTED = (
    "libp2p.bitswap",  # exchanging files
    "libp2p.crypto.rsa",  # members' keys are Ed25519
    "libp2p.crypto.secp256k1",
    "libp2p.discovery.bootstrap",  # who is met when is for `redial` to say
    "libp2p.discovery.mdns",
    "libp2p.discovery.upnp",
    "libp2p.metrics",
    "libp2p.rcmgr.memory_stats",
    "libp2p.rcmgr.prometheus_exporter",
    "libp2p.security.pnet",
    "libp2p.security.tls",  # Noise is spoken
    "libp2p.stream_muxer.mplex",  # yamux is spoken
    "libp2p.transport.quic",  # over TCP
    "psutil",
)
#: What is imported when it is used: where an address has a name in it.
DEFERRED = ("multiaddr.resolvers.dns",)
#: What is optional to who asks for it: `structlog` would show tracebacks in colours.
_OPTIONAL = ("rich",)
_LIBRARY = "libp2p"


class _Refusing(type):
    """Whatever is asked of a class that is not there is not there either."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class Omitted(Exception, metaclass=_Refusing):  # no error: it stands for any class, and for those in `except`
    """Whatever is imported from a module that is left out."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(
            "this part of libp2p is left out of the process, as no member uses it: see child/omitted.py"
        )

    def __init_subclass__(cls) -> None:
        """Let libp2p derive what it likes."""


class _Hollow(ModuleType):
    """A module in which everything is omitted."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Omitted


class _Later:
    """Whatever a name stands for, found out when it is used; what is made by it is made then, too."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __call__(self, *args: Any, **facts: Any) -> _Later:
        return _Later(lambda: self._find()(*args, **facts))

    def __getattr__(self, name: str) -> Any:
        found = self._find()
        self._find = lambda: found
        return getattr(found, name)


class _Deferred(ModuleType):
    """A module that is imported when something of it is used."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self._real = spec
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(lambda: getattr(self._imported(), name))

    def _imported(self) -> ModuleType:
        if self._module is None:
            self._module = module_from_spec(self._real)
            if self._real.loader is not None:
                self._real.loader.exec_module(self._module)
        return self._module


class _Package(Loader):
    """Opens a package without its ``__init__``, which is run when something is asked for that is no module of its."""

    def __init__(self, whole: Loader) -> None:
        self._whole = whole

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Have the usual kind of module made."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Make *module* ready to be asked."""

        def ask(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            full = f"{module.__name__}.{name}"
            if find_spec(full) is not None:
                return importlib.import_module(full)
            del module.__dict__["__getattr__"]
            self._whole.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = ask


class _Stand(Loader):
    """Puts a module that was made already where one is looked for."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return it."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is."""


class Omitting(MetaPathFinder):
    """Finds what is left out, what is put off, and libp2p's packages."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where *fullname* comes from, None if that is for others to say."""
        if any(fullname == name or fullname.startswith(f"{name}.") for name in OMITTED):
            return ModuleSpec(fullname, _Stand(_Hollow(fullname)), is_package=True)
        if fullname in DEFERRED and (real := PathFinder.find_spec(fullname, path, target)) is not None:
            return ModuleSpec(fullname, _Stand(_Deferred(real)))
        if fullname != _LIBRARY and not fullname.startswith(f"{_LIBRARY}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations is not None:
            spec.loader = _Package(spec.loader)
        return spec


def leave_out() -> None:
    """Have the imports of this process from now on go without what is left out."""
    for name in _OPTIONAL:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # how a module is marked as not to be had
    sys.meta_path.insert(0, Omitting())
