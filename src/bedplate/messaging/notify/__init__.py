"""Notifications: what happened, told to whoever listens, at least once.

::

    notifier = notify.Notifier(transport, publisher_id="inventory.host1")
    await notifier.info("item.created", {"item": "bolt"})

    async with notify.listen(transport, handle, event_types=("item.*",)):
        ...

Stands on the transport's public API alone.
"""

from bedplate.messaging.notify.listener import Listener as Listener
from bedplate.messaging.notify.listener import ListenerStatistics as ListenerStatistics
from bedplate.messaging.notify.listener import listen as listen
from bedplate.messaging.notify.notification import PRIORITIES as PRIORITIES
from bedplate.messaging.notify.notification import Notification as Notification
from bedplate.messaging.notify.notifier import Notifier as Notifier
from bedplate.messaging.notify.notifier import NotifierChoices as NotifierChoices
from bedplate.messaging.notify.notifier import NotifierOptions as NotifierOptions

__all__ = [
    "PRIORITIES",
    "Listener",
    "ListenerStatistics",
    "Notification",
    "Notifier",
    "NotifierChoices",
    "NotifierOptions",
    "listen",
]
