"""The RabbitMQ driver, over the AMQP 0-9-1 engine of this project.

``rabbit://USER:PASSWORD@HOST:PORT/VHOST``, several hosts separated by commas, ``rabbits://`` for
TLS. `docs/howto/rabbitmq.md` tells what it makes on a broker and which settings there are.

===============  ===================================================================
``_names``       addresses to exchange, routing key and queue, one way only
``_message``     messages to properties and back
``_wire``        one socket and one engine: reads, writes in batches, timers
``_dial``        hosts, TLS and login: how a wire comes to be
``_talk``        a few requests on a channel of their own, and their answers
``_publishing``  two channels for sending, and the fate of what was sent
``_inlet``       one consumer on a channel of its own: credit, settling
``_link``        the contract: what is sent, declared, taken, and told
===============  ===================================================================

Each thing that RabbitMQ may refuse happens on a channel of its own, because it refuses by closing
the channel: declarations, every inlet, publishing with confirms, publishing without.
"""

from bedplate.messaging.drivers.rabbit._driver import RabbitDriver as RabbitDriver
from bedplate.messaging.drivers.rabbit._names import RabbitNaming as RabbitNaming
from bedplate.messaging.drivers.rabbit._options import RabbitOptions as RabbitOptions

__all__ = ["RabbitDriver", "RabbitNaming", "RabbitOptions"]
