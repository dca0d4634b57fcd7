"""Every way a request can be refused, as a closed set of classes.

One class is one code of the public contract. A gateway never invents a code: REST renders the class
as problem details (RFC 9457), SOAP as a fault whose detail carries the same code, message and help.

Rule for this file: a class docstring is the title shown to the caller, `help` is one sentence that
says what to do next, and the message given at the raise says what is wrong in this very case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """One wrong value: `pointer` is a JSON pointer (RFC 6901) into the request, `detail` says why."""

    pointer: str
    detail: str


class LicensingError(Exception):
    """The request was refused."""

    code: ClassVar[str]
    status: ClassVar[int]
    help: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        problems: Iterable[FieldProblem] = (),
        help: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)
        self.next_step = help or self.help
        self.retry_after_seconds = retry_after_seconds

    @classmethod
    def title(cls) -> str:
        """The first line of the class docstring, without its full stop."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


class InvalidRequest(LicensingError):
    """The request is not valid."""

    code = "invalid_request"
    status = 400
    help = "Correct the fields named in `errors` and send the request again."

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidRequest:
        """The refusal of one field."""
        return cls(f"{pointer or '/'}: {detail}", problems=[FieldProblem(pointer, detail)])


class Unauthenticated(LicensingError):
    """No valid credentials were given."""

    code = "unauthenticated"
    status = 401
    help = "Send a key made by `licentia key create` as `Authorization: Bearer <key>`."


class Forbidden(LicensingError):
    """The key does not allow this."""

    code = "forbidden"
    status = 403
    help = "Use a key with the scope named in the message."


class NotFound(LicensingError):
    """There is no such thing."""

    code = "not_found"
    status = 404
    help = "Check the identifier in the address."


class MethodNotAllowed(LicensingError):
    """The address does not answer this method."""

    code = "method_not_allowed"
    status = 405
    help = "Use one of the methods in the `Allow` header."


class PayloadTooLarge(LicensingError):
    """The request body is too large."""

    code = "payload_too_large"
    status = 413
    help = "Send less at once; the limit is named in the message."


class UnsupportedMediaType(LicensingError):
    """The body has a media type that is not understood here."""

    code = "unsupported_media_type"
    status = 415
    help = "Send the media type named in the message."


class Conflict(LicensingError):
    """The request does not fit the present state."""

    code = "conflict"
    status = 409
    help = "Read the present state and decide again."


class IdempotencyMismatch(LicensingError):
    """The same key came with another request."""

    code = "idempotency_mismatch"
    status = 422
    help = "Use a new key for a new request, or repeat the first request unchanged."


class ProductUnknown(LicensingError):
    """The product is not known."""

    code = "product_unknown"
    status = 422
    help = "Define the product first, or correct the SKU or product code."


class TicketUnknown(LicensingError):
    """The ticket is not known."""

    code = "ticket_unknown"
    status = 404
    help = "Check the ticket: five groups of five characters, as printed on the order."


class TicketExhausted(LicensingError):
    """Nothing is left on the ticket to activate."""

    code = "ticket_exhausted"
    status = 409
    help = "Return an activation first, or order more."


class NotLicensed(LicensingError):
    """The user has no license for this product."""

    code = "not_licensed"
    status = 403
    help = "Activate a ticket for this user."


class LicenseExpired(LicensingError):
    """The license has expired."""

    code = "license_expired"
    status = 403
    help = "Renew the license with the vendor."


class LicenseNotYetValid(LicensingError):
    """The license is not valid yet."""

    code = "license_not_yet_valid"
    status = 403
    help = "Wait until the activation time named in the message."


class LicenseWithdrawn(LicensingError):
    """The license was withdrawn."""

    code = "license_withdrawn"
    status = 403
    help = "Ask the vendor why; a new order gives a new license."


class MaintenanceEnded(LicensingError):
    """The release is newer than the maintenance covers."""

    code = "maintenance_ended"
    status = 403
    help = "Use a release from within the maintenance period, or renew the maintenance."


class FeatureNotLicensed(LicensingError):
    """The feature is not part of the license."""

    code = "feature_not_licensed"
    status = 403
    help = "Order the feature, or ask for one of those the message names."


class NoFreeSeats(LicensingError):
    """All seats are in use."""

    code = "no_free_seats"
    status = 409
    help = "Wait until a holder named in the message is done, or order more seats."


class BorrowNotAllowed(LicensingError):
    """The license allows no offline leases."""

    code = "borrow_not_allowed"
    status = 403
    help = "Claim without `borrow_days` and renew online, or ask the vendor for a license that has `offline_days`."


class UnitsExhausted(LicensingError):
    """Too few units are left."""

    code = "units_exhausted"
    status = 409
    help = "Order more units, or consume fewer."


class LeaseUnknown(LicensingError):
    """The lease is not known."""

    code = "lease_unknown"
    status = 404
    help = "Claim a lease first."


class ContainerUnknown(LicensingError):
    """The container is not known."""

    code = "container_unknown"
    status = 404
    help = "Check the container's kind and id; `licentia plugin list` shows the kinds."


class ContainerKindNotAllowed(LicensingError):
    """The license must not be put into this kind of container."""

    code = "container_kind_not_allowed"
    status = 409
    help = "Choose one of the kinds the message names."


class BindingMismatch(LicensingError):
    """The binding does not match this machine."""

    code = "binding_mismatch"
    status = 403
    help = "Restore the license to this machine, or use the machine it is bound to."


class BindingEvidenceInvalid(LicensingError):
    """The evidence of identity does not hold."""

    code = "binding_evidence_invalid"
    status = 403
    help = "Collect fresh evidence on the machine itself and try again."


class DocumentInvalid(LicensingError):
    """The file is damaged, forged or of another kind."""

    code = "document_invalid"
    status = 400
    help = "Take the file as it was handed out, and send it whole; if it still fails, ask its sender for a new one."


class UpdateOutOfOrder(LicensingError):
    """The update does not follow the last one."""

    code = "update_out_of_order"
    status = 409
    help = "Send a new request of the container and apply the update made from it."


class ForkDetected(LicensingError):
    """The container was cloned or set back."""

    code = "fork_detected"
    status = 409
    help = "Restore the license from its ticket."


class UpdateRequired(LicensingError):
    """A pending update must be applied first."""

    code = "update_required"
    status = 409
    help = "Fetch and apply the pending update, then try again."


class TooManyRequests(LicensingError):
    """Too many attempts in a short time."""

    code = "too_many_requests"
    status = 429
    help = "Wait for the time in `Retry-After`."


class InternalError(LicensingError):
    """Something failed inside the server."""

    code = "internal_error"
    status = 500
    help = "Send the request again; give the operator the request id if it fails again."


class Unavailable(LicensingError):
    """The service cannot answer now."""

    code = "unavailable"
    status = 503
    help = "Try again shortly; repeating a request is always safe."


UNIVERSAL: tuple[type[LicensingError], ...] = (
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    PayloadTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    InternalError,
    Unavailable,
)
"""What any operation may answer, over and above the errors it declares itself."""


def catalogue() -> dict[str, type[LicensingError]]:
    """Every code with its class, in the order of this file."""
    return {cls.code: cls for cls in LicensingError.__subclasses__()}
