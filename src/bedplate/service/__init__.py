"""The service room's front door: configuration, transports, servers and health in one life."""

from bedplate.service.options import NotifyTransport as NotifyTransport
from bedplate.service.options import RpcTransport as RpcTransport
from bedplate.service.options import ServiceOptions as ServiceOptions
from bedplate.service.service import Service as Service

__all__ = ["NotifyTransport", "RpcTransport", "Service", "ServiceOptions"]
