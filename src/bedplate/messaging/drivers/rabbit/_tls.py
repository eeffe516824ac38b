"""TLS: how it is set up, and what to make of it when it fails. Opens nothing.

The numbers are those of OpenSSL's X509_verify_cert_error_string(3).
"""

import ssl

from bedplate.errors import AccessRefused, ConnectFailed, InvalidUrl, NotTrusted
from bedplate.messaging.drivers.rabbit._options import RabbitOptions
from bedplate.messaging.url import TransportUrl

__all__ = ["tls_context", "tls_failure"]

_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})
_NO_TLS = frozenset(
    {
        *("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"),
        *("PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
    }
)


def tls_context(url: TransportUrl, options: RabbitOptions) -> ssl.SSLContext:
    """Set TLS up as the settings say. Raises `InvalidUrl` for files that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=options.ssl_ca_file or None)
    except OSError as error:
        raise _bad_file(url, "ssl_ca_file", options.ssl_ca_file, error) from error
    context.check_hostname = options.ssl_verify_hostname
    if options.ssl_cert_file:
        password = options.ssl_key_password.reveal()
        try:
            context.load_cert_chain(
                options.ssl_cert_file, options.ssl_key_file or None, lambda: password
            )
        except OSError as error:
            raise _bad_file(url, "ssl_cert_file", options.ssl_cert_file, error) from error
    return context


def tls_failure(
    error: ssl.SSLError, where: str, host: str
) -> NotTrusted | AccessRefused | ConnectFailed:
    """Say why no TLS came about with a host, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotTrusted(where=where, why=_distrust(error, host))
    reason = (error.reason or str(error)).upper()
    if reason in _NO_TLS:
        return ConnectFailed(
            where=where,
            why="what answers there speaks no TLS. Connect without it (rabbit://), or to the port "
            "for TLS, which is 5671 as a rule.",
        )
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        why = f"our certificate is missing or not accepted ({reason}); see ssl_cert_file."
        return AccessRefused(where=where, why=why)
    return ConnectFailed(where=where, why=f"no TLS could be agreed ({reason}).")


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "it has expired. Renew it there, unless it is the clock of this machine that is off."
    if code == _NOT_YET_VALID:
        return "it is not valid yet. Is a clock off, here or there?"
    if code in _OTHER_NAME:
        return (
            f"it is not for {host}. Connect by a name that is in it, or have one issued for {host}."
        )
    if code in _UNKNOWN_ISSUER:
        return (
            f"nobody who is trusted here has issued it ({error.verify_message}). Name the file of "
            "its issuer's certificates in ssl_ca_file."
        )
    return f"{error.verify_message}."


def _bad_file(url: TransportUrl, name: str, path: str, error: OSError) -> InvalidUrl:
    why = f"{name} {path} cannot be used ({error.strerror or error})."
    return InvalidUrl(url=str(url), why=why)
