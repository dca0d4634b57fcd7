"""Which changes ring. What rings is a task of Tryton's queue, so that it is there only if the change is committed."""

from trytond.pool import PoolMeta

from .webhook import ring, rings


class Doorbell:
    """A document that concerns Licentia; `_rings` has what is told of each state that it may come to."""

    __slots__ = ()
    _rings = {}

    @classmethod
    def on_modification(cls, mode, records, field_names=None):
        """Note what rings: a state that was come to, or an amendment, for which no button is pressed again."""
        super().on_modification(mode, records, field_names=field_names)
        if mode not in ("create", "write") or not rings():
            return
        for record in records:
            if kind := cls._kind(record, field_names or {"state"}):
                cls.__queue__.licentia_ring([record], kind)

    @classmethod
    def _kind(cls, record, field_names):
        if not record.number:
            return None
        if "revision" in field_names and record.state in ("processing", "done"):
            return "order.amended"
        return cls._rings.get(record.state) if "state" in field_names else None

    @classmethod
    def licentia_ring(cls, records, kind):
        """Ring. Who does not answer finds out by polling."""
        for record in records:
            ring(kind, {"model": cls.__name__, "number": record.number})


class Sale(Doorbell, metaclass=PoolMeta):
    """A sale; what follows its confirmation is no news, unless it is amended."""

    __name__ = "sale.sale"
    _rings = {"confirmed": "order.confirmed", "cancelled": "order.cancelled"}


class Subscription(Doorbell, metaclass=PoolMeta):
    """A subscription."""

    __name__ = "sale.subscription"
    _rings = {
        "running": "subscription.running",
        "closed": "subscription.closed",
        "cancelled": "subscription.cancelled",
    }
