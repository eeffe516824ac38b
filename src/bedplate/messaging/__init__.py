"""The messaging room's front door: the low-level API that carries bytes between addresses.

RPC and notifications stand on it in rooms of their own: `bedplate.messaging.rpc` and
`bedplate.messaging.notify`.
"""

from bedplate.messaging.consumer import Consumer as Consumer
from bedplate.messaging.delivery import Delivery as Delivery
from bedplate.messaging.figures import TransportStatistics as TransportStatistics
from bedplate.messaging.inbox import Inbox as Inbox
from bedplate.messaging.inbox import InboxListener as InboxListener
from bedplate.messaging.intake import ParkedFor as ParkedFor
from bedplate.messaging.intake import Verdict as Verdict
from bedplate.messaging.lookup import find_driver as find_driver
from bedplate.messaging.observe import Observer as Observer
from bedplate.messaging.parked import ParkingPlace as ParkingPlace
from bedplate.messaging.parked import Swept as Swept
from bedplate.messaging.parking import Parked as Parked
from bedplate.messaging.parking import ParkedMessage as ParkedMessage
from bedplate.messaging.policy import TransportPolicy as TransportPolicy
from bedplate.messaging.policy import TtlRule as TtlRule
from bedplate.messaging.receiving import Ack as Ack
from bedplate.messaging.receiving import IntakePolicy as IntakePolicy
from bedplate.messaging.recovery import RecoveryPolicy as RecoveryPolicy
from bedplate.messaging.subscription import Subscription as Subscription
from bedplate.messaging.transport import Transport as Transport
from bedplate.messaging.types import Address as Address
from bedplate.messaging.types import Bounce as Bounce
from bedplate.messaging.types import Capabilities as Capabilities
from bedplate.messaging.types import Entity as Entity
from bedplate.messaging.types import Message as Message
from bedplate.messaging.types import Outbound as Outbound
from bedplate.messaging.types import Settle as Settle
from bedplate.messaging.types import Settlement as Settlement
from bedplate.messaging.types import Source as Source
from bedplate.messaging.types import Standing as Standing
from bedplate.messaging.types import Start as Start
from bedplate.messaging.types import Support as Support
from bedplate.messaging.types import Topology as Topology
from bedplate.messaging.types import Want as Want
from bedplate.messaging.url import TransportUrl as TransportUrl
from bedplate.messaging.wheel import Limit as Limit
from bedplate.messaging.wheel import Timer as Timer

__all__ = [
    "Ack",
    "Address",
    "Bounce",
    "Capabilities",
    "Consumer",
    "Delivery",
    "Entity",
    "Inbox",
    "InboxListener",
    "IntakePolicy",
    "Limit",
    "Message",
    "Observer",
    "Outbound",
    "Parked",
    "ParkedFor",
    "ParkedMessage",
    "ParkingPlace",
    "RecoveryPolicy",
    "Settle",
    "Settlement",
    "Source",
    "Standing",
    "Start",
    "Subscription",
    "Support",
    "Swept",
    "Timer",
    "Topology",
    "Transport",
    "TransportPolicy",
    "TransportStatistics",
    "TransportUrl",
    "TtlRule",
    "Verdict",
    "Want",
    "find_driver",
]
